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
#include "server/api/raw_request.h"
#include "server/api/rpc_call.h"
#include "server/api/submit.h"
#include "server/events/job_event.h"

namespace cogwheel {
namespace {

constexpr int kDefaultPage = 50, kMaxPage = 1000;
constexpr size_t kMostShown = 128;  // bytes of a name
constexpr size_t kMaxPageBytes = 2 * 1024 * 1024;

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

v1::ListJobsResponse ToResponse(const JobPage& page, const EventLog& events) {
  v1::ListJobsResponse response;
  size_t bytes = 0;
  for (const Job& job : page.jobs) {
    *response.add_jobs() = Described(job, events);
    bytes += response.jobs().rbegin()->ByteSizeLong();
    if (bytes >= kMaxPageBytes) break;  // clients take 4 MiB by default
  }
  if (page.more || response.jobs_size() < static_cast<int>(page.jobs.size())) {
    response.set_next_page_token(response.jobs().rbegin()->name());
  }
  return response;
}

// What is asked, if the caller may call.
template <typename Request>
absl::StatusOr<Request> Read(const RpcCall& call, const grpc::ByteBuffer& bytes) {
  if (!call.tenant().ok()) return call.tenant().status();
  Request request;
  const absl::Status parsed = ParseRequest(bytes, request);
  if (!parsed.ok()) return parsed;
  return request;
}

}  // namespace

VideoService::Unary* VideoService::Answer(Context* context, const RpcCall& call,
                                          const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(call.End(status));
  return reactor;
}

VideoService::Stream* VideoService::Generate(Context* context, const Bytes* request) {
  return MakeGenerateStream(context, *request, parts_);
}

VideoService::Stream* VideoService::WatchJob(Context* context, const Bytes* request) {
  return MakeWatchStream(context, *request, parts_);
}

VideoService::Stream* VideoService::DownloadVideo(Context* context, const Bytes* request) {
  return MakeDownloadStream(context, *request, parts_);
}

VideoService::Unary* VideoService::CreateJob(Context* context, const Bytes* request,
                                             Bytes* response) {
  const RpcCall call("CreateJob", *context, parts_);
  const auto create = Read<v1::CreateJobRequest>(call, *request);
  if (!create.ok()) return Answer(context, call, create.status());
  Unary* reactor = context->DefaultReactor();
  Submit(create->request(), call, parts_,
         [call, response, reactor,
          &events = parts_.events](const absl::StatusOr<CreatedJob>& created) {
           if (created.ok()) *response = ToBytes(Described(created->job, events));
           reactor->Finish(call.End(created.status()));
         });
  return reactor;
}

VideoService::Unary* VideoService::GetJob(Context* context, const Bytes* request, Bytes* response) {
  const RpcCall call("GetJob", *context, parts_);
  const auto get = Read<v1::GetJobRequest>(call, *request);
  if (!get.ok()) return Answer(context, call, get.status());
  const absl::StatusOr<std::string> name = NormalizeJobName(get->name());
  if (!name.ok()) return Answer(context, call, name.status());
  const absl::StatusOr<Job> found = parts_.store.Get(*call.tenant(), *name);
  if (found.ok()) *response = ToBytes(Described(*found, parts_.events));
  return Answer(context, call, found.status());
}

VideoService::Unary* VideoService::ListJobs(Context* context, const Bytes* request,
                                            Bytes* response) {
  const RpcCall call("ListJobs", *context, parts_);
  const auto list = Read<v1::ListJobsRequest>(call, *request);
  if (!list.ok()) return Answer(context, call, list.status());
  const absl::StatusOr<JobQuery> query = ToQuery(*call.tenant(), *list);
  if (!query.ok()) return Answer(context, call, query.status());
  const absl::StatusOr<JobPage> page = parts_.store.List(*query);
  if (!page.ok()) return Answer(context, call, page.status());
  *response = ToBytes(ToResponse(*page, parts_.events));
  return Answer(context, call, absl::OkStatus());
}

VideoService::Unary* VideoService::CancelJob(Context* context, const Bytes* request,
                                             Bytes* response) {
  const RpcCall call("CancelJob", *context, parts_);
  const auto cancel = Read<v1::CancelJobRequest>(call, *request);
  if (!cancel.ok()) return Answer(context, call, cancel.status());
  const absl::StatusOr<std::string> name = NormalizeJobName(cancel->name());
  if (!name.ok()) return Answer(context, call, name.status());
  Unary* reactor = context->DefaultReactor();
  parts_.dispatcher.Cancel(
      *call.tenant(), *name,
      [call, response, reactor, &events = parts_.events](const absl::StatusOr<Job>& found) {
        if (found.ok()) *response = ToBytes(Described(*found, events));
        reactor->Finish(call.End(found.status()));
      });
  return reactor;
}

VideoService::Unary* VideoService::DeleteJob(Context* context, const Bytes* request,
                                             Bytes* response) {
  const RpcCall call("DeleteJob", *context, parts_);
  const auto remove = Read<v1::DeleteJobRequest>(call, *request);
  if (!remove.ok()) return Answer(context, call, remove.status());
  const absl::StatusOr<std::string> name = NormalizeJobName(remove->name());
  if (!name.ok()) return Answer(context, call, name.status());
  Unary* reactor = context->DefaultReactor();
  parts_.janitor.Delete(*call.tenant(), *name,
                        [call, response, reactor](const absl::Status& removed) {
                          *response = ToBytes(v1::DeleteJobResponse());
                          reactor->Finish(call.End(removed));
                        });
  return reactor;
}

VideoService::Unary* VideoService::ListModels(Context* context, const Bytes* request,
                                              Bytes* response) {
  const RpcCall call("ListModels", *context, parts_);
  const auto list = Read<v1::ListModelsRequest>(call, *request);
  if (!list.ok()) return Answer(context, call, list.status());
  const absl::StatusOr<std::vector<v1::Model>> models = parts_.store.Models();
  if (!models.ok()) return Answer(context, call, models.status());
  v1::ListModelsResponse current;
  for (v1::Model& model : parts_.board.Current(*models)) *current.add_models() = std::move(model);
  *response = ToBytes(current);
  return Answer(context, call, absl::OkStatus());
}

VideoService::Unary* VideoService::ListGroups(Context* context, const Bytes* request,
                                              Bytes* response) {
  const RpcCall call("ListGroups", *context, parts_);
  const auto list = Read<v1::ListGroupsRequest>(call, *request);
  if (!list.ok()) return Answer(context, call, list.status());
  v1::ListGroupsResponse groups;
  const auto orders = parts_.orders.Now();
  for (v1::Group& group : parts_.board.List()) {
    group.set_drained(orders->drained.contains(group.name()));
    *groups.add_groups() = std::move(group);
  }
  *response = ToBytes(groups);
  return Answer(context, call, absl::OkStatus());
}

VideoService::Unary* VideoService::GetGroup(Context* context, const Bytes* request,
                                            Bytes* response) {
  const RpcCall call("GetGroup", *context, parts_);
  const auto get = Read<v1::GetGroupRequest>(call, *request);
  if (!get.ok()) return Answer(context, call, get.status());
  std::optional<v1::Group> found = parts_.board.Find(get->name());
  if (!found.has_value()) {
    return Answer(context, call,
                  MakeError(absl::StatusCode::kNotFound, "UNKNOWN_GROUP",
                            absl::StrCat("name ", std::string(ClipUtf8(get->name(), kMostShown)),
                                         " is no group of this server")));
  }
  found->set_drained(parts_.orders.Now()->drained.contains(found->name()));
  *response = ToBytes(*found);
  return Answer(context, call, absl::OkStatus());
}

}  // namespace cogwheel
