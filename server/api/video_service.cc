#include "server/api/video_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "base/utf8.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/api/download_stream.h"
#include "server/api/event_stream.h"
#include "server/api/pool_call.h"
#include "server/api/rpc_call.h"
#include "server/api/submit.h"
#include "server/api/upload_input.h"
#include "server/events/job_event.h"

namespace cogwheel {
namespace {

constexpr int kDefaultPage = 50, kMaxPage = 1000;
constexpr size_t kMostShown = 128;                 // bytes of a name
constexpr size_t kMaxPageBytes = 2 * 1024 * 1024;  // clients take 4 MiB by default
constexpr int kReadAtOnce = 50;                    // jobs, which have up to 33 KiB of prompts each

absl::StatusOr<JobQuery> ToQuery(const std::string& tenant, const v1::ListJobsRequest& request) {
  JobQuery query;
  query.tenant = tenant;
  std::vector<FieldViolation> violations;
  if (request.page_size() < 0 || request.page_size() > kMaxPage) {
    violations.push_back(
        {"page_size", absl::StrCat("page_size ", request.page_size(), " is outside 0 to ", kMaxPage,
                                   "; the nearest legal value is ",
                                   std::clamp(request.page_size(), 0, kMaxPage))});
  }
  query.limit = request.page_size() == 0 ? kDefaultPage : request.page_size();
  if (!request.page_token().empty()) {
    const absl::StatusOr<std::string> name = NormalizeJobName(request.page_token());
    if (name.ok()) {
      query.before_name = *name;
    } else {
      violations.push_back({"page_token", "page_token is not one that this server gave"});
    }
  }
  for (const int state : request.states()) {
    const std::optional<JobState> known = FromProto(static_cast<v1::JobState>(state));
    if (known.has_value()) {
      query.states.push_back(*known);
    } else {
      violations.push_back({"states", absl::StrCat("states holds ", state, ", which is unknown")});
    }
  }
  if (!violations.empty()) return MakeInvalidArgument("LIST", violations);
  return query;
}

// The job with how far it is.
v1::Job Described(const Job& job, const EventLog& events) {
  v1::Job described = ToProto(job);
  events.Describe(described);
  return described;
}

// A page of so many jobs or bytes, read in pieces: no more is read than is sent.
absl::StatusOr<v1::ListJobsResponse> ReadPage(JobQuery query, const ApiParts& parts) {
  v1::ListJobsResponse response;
  size_t bytes = 0;
  const int wanted = query.limit;
  while (response.jobs_size() < wanted && bytes < kMaxPageBytes) {
    query.limit = std::min(kReadAtOnce, wanted - response.jobs_size());
    const absl::StatusOr<JobPage> page = parts.store.List(query);
    if (!page.ok()) return page.status();
    for (const Job& job : page->jobs) {
      *response.add_jobs() = Described(job, parts.events);
      bytes += response.jobs().rbegin()->ByteSizeLong();
      query.before_name = job.name;
    }
    if (!page->more) return response;
  }
  response.set_next_page_token(query.before_name);
  return response;
}

}  // namespace

VideoService::Stream* VideoService::Generate(Context* context, const Bytes* request) {
  return MakeGenerateStream(context, request, parts_);
}

VideoService::Stream* VideoService::WatchJob(Context* context, const Bytes* request) {
  return MakeWatchStream(context, request, parts_);
}

VideoService::Stream* VideoService::DownloadVideo(Context* context, const Bytes* request) {
  return MakeDownloadStream(context, request, parts_);
}

grpc::ServerReadReactor<VideoService::Bytes>* VideoService::UploadInput(Context* context,
                                                                        Bytes* response) {
  return MakeUploadStream(context, response, parts_);
}

VideoService::Unary* VideoService::CreateJob(Context* context, const Bytes* request,
                                             Bytes* response) {
  return Serve<v1::CreateJobRequest, v1::Job>(
      {"CreateJob", context, request, response}, parts_, Where::kPool,
      [this, trace_id = TraceIdOf(*context)](
          const std::string& tenant, const v1::CreateJobRequest& create, Answer<v1::Job> done) {
        Submit(create.request(), {tenant, trace_id, create.hold()}, parts_,
               [&events = parts_.events,
                done = std::move(done)](const absl::StatusOr<CreatedJob>& created) {
                 if (!created.ok()) return done(created.status());
                 done(Described(created->job, events));
               });
      });
}

VideoService::Unary* VideoService::GetJob(Context* context, const Bytes* request, Bytes* response) {
  return Serve<v1::GetJobRequest, v1::Job>(
      {"GetJob", context, request, response}, parts_, Where::kPool,
      [this](const std::string& tenant, const v1::GetJobRequest& get, const Answer<v1::Job>& done) {
        const absl::StatusOr<Job> found = FindJob(tenant, get.name(), parts_.store);
        if (!found.ok()) return done(found.status());
        done(Described(*found, parts_.events));
      });
}

VideoService::Unary* VideoService::ListJobs(Context* context, const Bytes* request,
                                            Bytes* response) {
  return Serve<v1::ListJobsRequest, v1::ListJobsResponse>(
      {"ListJobs", context, request, response}, parts_, Where::kPool,
      [this](const std::string& tenant, const v1::ListJobsRequest& list,
             const Answer<v1::ListJobsResponse>& done) {
        absl::StatusOr<JobQuery> query = ToQuery(tenant, list);
        if (!query.ok()) return done(query.status());
        done(ReadPage(*std::move(query), parts_));
      });
}

VideoService::Unary* VideoService::CancelJob(Context* context, const Bytes* request,
                                             Bytes* response) {
  return Serve<v1::CancelJobRequest, v1::Job>(
      {"CancelJob", context, request, response}, parts_, Where::kHere,
      [this](const std::string& tenant, const v1::CancelJobRequest& cancel, Answer<v1::Job> done) {
        const absl::StatusOr<std::string> name = NormalizeJobName(cancel.name());
        if (!name.ok()) return done(name.status());
        parts_.dispatcher.Cancel(
            tenant, *name,
            [&events = parts_.events, done = std::move(done)](const absl::StatusOr<Job>& asked) {
              if (!asked.ok()) return done(asked.status());
              done(Described(*asked, events));
            });
      });
}

VideoService::Unary* VideoService::DeleteJob(Context* context, const Bytes* request,
                                             Bytes* response) {
  return Serve<v1::DeleteJobRequest, v1::DeleteJobResponse>(
      {"DeleteJob", context, request, response}, parts_, Where::kHere,
      [this](const std::string& tenant, const v1::DeleteJobRequest& remove,
             Answer<v1::DeleteJobResponse> done) {
        const absl::StatusOr<std::string> name = NormalizeJobName(remove.name());
        if (!name.ok()) return done(name.status());
        parts_.janitor.Delete(tenant, *name, [done = std::move(done)](const absl::Status& removed) {
          if (!removed.ok()) return done(removed);
          done(v1::DeleteJobResponse());
        });
      });
}

VideoService::Unary* VideoService::ListModels(Context* context, const Bytes* request,
                                              Bytes* response) {
  return Serve<v1::ListModelsRequest, v1::ListModelsResponse>(
      {"ListModels", context, request, response}, parts_, Where::kPool,
      [this](const std::string&, const v1::ListModelsRequest&,
             const Answer<v1::ListModelsResponse>& done) {
        absl::StatusOr<std::vector<v1::Model>> models = parts_.store.Models();
        if (!models.ok()) return done(models.status());
        v1::ListModelsResponse current;
        for (v1::Model& model : parts_.board.Current(*std::move(models))) {
          *current.add_models() = std::move(model);
        }
        done(std::move(current));
      });
}

VideoService::Unary* VideoService::ListGroups(Context* context, const Bytes* request,
                                              Bytes* response) {
  return Serve<v1::ListGroupsRequest, v1::ListGroupsResponse>(
      {"ListGroups", context, request, response}, parts_, Where::kHere,
      [this](const std::string&, const v1::ListGroupsRequest&,
             const Answer<v1::ListGroupsResponse>& done) {
        v1::ListGroupsResponse groups;
        const auto orders = parts_.orders.Now();
        for (v1::Group& group : parts_.board.List()) {
          group.set_drained(orders->drained.contains(group.name()));
          *groups.add_groups() = std::move(group);
        }
        done(std::move(groups));
      });
}

VideoService::Unary* VideoService::GetGroup(Context* context, const Bytes* request,
                                            Bytes* response) {
  return Serve<v1::GetGroupRequest, v1::Group>(
      {"GetGroup", context, request, response}, parts_, Where::kHere,
      [this](const std::string&, const v1::GetGroupRequest& get, const Answer<v1::Group>& done) {
        std::optional<v1::Group> found = parts_.board.Find(get.name());
        if (!found.has_value()) {
          return done(MakeError(absl::StatusCode::kNotFound, "UNKNOWN_GROUP",
                                absl::StrCat("name ", std::string(ClipUtf8(get.name(), kMostShown)),
                                             " is no group of this server")));
        }
        found->set_drained(parts_.orders.Now()->drained.contains(found->name()));
        done(*std::move(found));
      });
}

}  // namespace cogwheel
