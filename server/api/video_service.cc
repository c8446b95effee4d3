#include "server/api/video_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/api/convert.h"
#include "server/api/download_stream.h"
#include "server/api/event_stream.h"
#include "server/api/raw_request.h"
#include "server/api/rpc_call.h"
#include "server/api/submit.h"

namespace cogwheel {
namespace {

constexpr int kDefaultPage = 50, kMaxPage = 1000;
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
    if (state < v1::QUEUED || state > v1::EXPIRED) {
      violations.push_back({"states", absl::StrCat("states holds ", state, ", which is unknown")});
    } else {
      query.states.push_back(FromProto(static_cast<v1::JobState>(state)));
    }
  }
  if (!violations.empty()) return MakeInvalidArgument("LIST", violations);
  return query;
}

}  // namespace

VideoService::Unary* VideoService::Answer(Context* context, const RpcCall& call,
                                          const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(call.End(status));
  return reactor;
}

VideoService::Stream* VideoService::Generate(Context* context, const grpc::ByteBuffer* request) {
  return MakeGenerateStream(context, *request, parts_);
}

VideoService::Stream* VideoService::WatchJob(Context* context, const grpc::ByteBuffer* request) {
  return MakeWatchStream(context, *request, parts_);
}

VideoService::Stream* VideoService::DownloadVideo(Context* context,
                                                  const grpc::ByteBuffer* request) {
  return MakeDownloadStream(context, *request, parts_);
}

VideoService::Unary* VideoService::CreateJob(Context* context, const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* job) {
  const RpcCall call("CreateJob", *context, parts_);
  if (!call.tenant().ok()) return Answer(context, call, call.tenant().status());
  v1::CreateJobRequest create;
  const absl::Status parsed = ParseRequest(*request, create);
  if (!parsed.ok()) return Answer(context, call, parsed);
  Unary* reactor = context->DefaultReactor();
  Submit(create.request(), call, parts_,
         [call, job, reactor](const absl::StatusOr<CreatedJob>& created) {
           if (created.ok()) *job = ToBytes(ToProto(created->job));
           reactor->Finish(call.End(created.status()));
         });
  return reactor;
}

VideoService::Unary* VideoService::GetJob(Context* context, const v1::GetJobRequest* request,
                                          v1::Job* job) {
  const RpcCall call("GetJob", *context, parts_);
  if (!call.tenant().ok()) return Answer(context, call, call.tenant().status());
  const absl::StatusOr<std::string> name = NormalizeJobName(request->name());
  if (!name.ok()) return Answer(context, call, name.status());
  const absl::StatusOr<Job> found = parts_.store.Get(*call.tenant(), *name);
  if (found.ok()) *job = ToProto(*found);
  return Answer(context, call, found.status());
}

VideoService::Unary* VideoService::ListJobs(Context* context, const v1::ListJobsRequest* request,
                                            v1::ListJobsResponse* response) {
  const RpcCall call("ListJobs", *context, parts_);
  if (!call.tenant().ok()) return Answer(context, call, call.tenant().status());
  const absl::StatusOr<JobQuery> query = ToQuery(*call.tenant(), *request);
  if (!query.ok()) return Answer(context, call, query.status());
  const absl::StatusOr<JobPage> page = parts_.store.List(*query);
  if (!page.ok()) return Answer(context, call, page.status());
  size_t bytes = 0;
  for (const Job& job : page->jobs) {
    *response->add_jobs() = ToProto(job);
    bytes += response->jobs().rbegin()->ByteSizeLong();
    if (bytes >= kMaxPageBytes) break;  // clients take 4 MiB by default
  }
  if (page->more || response->jobs_size() < static_cast<int>(page->jobs.size())) {
    response->set_next_page_token(response->jobs().rbegin()->name());
  }
  return Answer(context, call, absl::OkStatus());
}

VideoService::Unary* VideoService::CancelJob(Context* context, const v1::CancelJobRequest* request,
                                             v1::Job* job) {
  const RpcCall call("CancelJob", *context, parts_);
  if (!call.tenant().ok()) return Answer(context, call, call.tenant().status());
  const absl::StatusOr<std::string> name = NormalizeJobName(request->name());
  if (!name.ok()) return Answer(context, call, name.status());
  Unary* reactor = context->DefaultReactor();
  parts_.dispatcher.Cancel(*call.tenant(), *name,
                           [call, job, reactor](const absl::StatusOr<Job>& found) {
                             if (found.ok()) *job = ToProto(*found);
                             reactor->Finish(call.End(found.status()));
                           });
  return reactor;
}

VideoService::Unary* VideoService::DeleteJob(Context* context, const v1::DeleteJobRequest* request,
                                             v1::DeleteJobResponse* /*response*/) {
  const RpcCall call("DeleteJob", *context, parts_);
  if (!call.tenant().ok()) return Answer(context, call, call.tenant().status());
  const absl::StatusOr<std::string> name = NormalizeJobName(request->name());
  if (!name.ok()) return Answer(context, call, name.status());
  Unary* reactor = context->DefaultReactor();
  parts_.dispatcher.Delete(*call.tenant(), *name,
                           [call, reactor](const absl::StatusOr<Job>& removed) {
                             reactor->Finish(call.End(removed.status()));
                           });
  return reactor;
}

VideoService::Unary* VideoService::ListModels(Context* context,
                                              const v1::ListModelsRequest* /*request*/,
                                              v1::ListModelsResponse* response) {
  const RpcCall call("ListModels", *context, parts_);
  if (!call.tenant().ok()) return Answer(context, call, call.tenant().status());
  const absl::StatusOr<std::vector<v1::Model>> models = parts_.store.Models();
  if (!models.ok()) return Answer(context, call, models.status());
  const std::vector<v1::Group> groups = parts_.board.List();
  for (const v1::Model& model : *models) {
    v1::Model& out = *response->add_models();
    out = model;
    out.set_ready(std::any_of(groups.begin(), groups.end(), [&model](const v1::Group& group) {
      return group.ready() && group.model() == model.name();
    }));
  }
  return Answer(context, call, absl::OkStatus());
}

VideoService::Unary* VideoService::ListGroups(Context* context,
                                              const v1::ListGroupsRequest* /*request*/,
                                              v1::ListGroupsResponse* response) {
  const RpcCall call("ListGroups", *context, parts_);
  if (!call.tenant().ok()) return Answer(context, call, call.tenant().status());
  for (v1::Group& group : parts_.board.List()) *response->add_groups() = std::move(group);
  return Answer(context, call, absl::OkStatus());
}

VideoService::Unary* VideoService::GetGroup(Context* context, const v1::GetGroupRequest* request,
                                            v1::Group* group) {
  const RpcCall call("GetGroup", *context, parts_);
  if (!call.tenant().ok()) return Answer(context, call, call.tenant().status());
  const std::optional<v1::Group> found = parts_.board.Find(request->name());
  if (!found.has_value()) {
    return Answer(context, call,
                  MakeError(absl::StatusCode::kNotFound, "UNKNOWN_GROUP",
                            absl::StrCat("name ", request->name().substr(0, 128),
                                         " is no group of this server")));
  }
  *group = *found;
  return Answer(context, call, absl::OkStatus());
}

}  // namespace cogwheel
