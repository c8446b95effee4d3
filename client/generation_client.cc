#include "client/generation_client.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "client/health_check.h"
#include "client/server_channel.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kHealthLimit{5}, kCancelLimit{5};
constexpr int kPageSize = 50;

// The state if it is the last of a job.
v1::JobState IfFinal(v1::JobState state) {
  switch (state) {
    case v1::SUCCEEDED:
    case v1::FAILED:
    case v1::CANCELLED:
    case v1::EXPIRED:
      return state;
    case v1::QUEUED:
    case v1::RUNNING:
    case v1::JOB_STATE_UNSPECIFIED:
    case v1::JobState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::JobState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

}  // namespace

v1::JobState FinalState(const v1::JobEvent& event) {
  switch (event.event_case()) {
    case v1::JobEvent::kSucceeded:
      return v1::SUCCEEDED;
    case v1::JobEvent::kFailed:
      return v1::FAILED;
    case v1::JobEvent::kCancelled:
      return v1::CANCELLED;
    case v1::JobEvent::kExpired:
      return v1::EXPIRED;
    case v1::JobEvent::kSnapshot:
      return IfFinal(event.snapshot().state());
    case v1::JobEvent::kQueued:
    case v1::JobEvent::kStarted:
    case v1::JobEvent::kProgress:
    case v1::JobEvent::kPreview:
    case v1::JobEvent::kChunk:
    case v1::JobEvent::EVENT_NOT_SET:
      break;
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

GenerationClient::GenerationClient(const std::string& address, ServerAccess access)
    : address_(address),
      access_(std::move(access)),
      channel_(OpenChannel(address, access_)),
      stub_(v1::VideoService::NewStub(channel_)) {}

bool GenerationClient::Activate(grpc::ClientContext* context) {
  MutexLock lock(mutex_);
  active_ = context;
  return !stopped_;
}

void GenerationClient::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  if (active_ != nullptr) active_->TryCancel();
  changed_.NotifyAll();
}

bool GenerationClient::Pause(std::chrono::milliseconds delay) {
  MutexLock lock(mutex_);
  return !changed_.WaitFor(mutex_, delay, [this]() COGWHEEL_REQUIRES(mutex_) { return stopped_; });
}

template <typename Message, typename Open, typename Handle>
absl::Status GenerationClient::ReadStream(const Open& open, const Handle& handle) {
  grpc::ClientContext context;
  access_.Authorize(context);
  if (!Activate(&context)) return absl::CancelledError("stopped");
  const std::unique_ptr<grpc::ClientReader<Message>> reader = open(&context);
  absl::Status handled;
  Message message;
  while (handled.ok() && reader->Read(&message)) handled = handle(message);
  if (!handled.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  const bool stopped = !Activate(nullptr);
  if (!handled.ok()) return handled;
  if (stopped) return absl::CancelledError("stopped");
  return DescribeFailure(address_, status);
}

absl::Status GenerationClient::Watch(const std::string& job, WatchMode mode,
                                     const EventHandler& handler) {
  RetryPolicy retry;
  if (mode.hold) retry.Arrived();  // the server has accepted the job
  v1::WatchJobRequest request;
  request.set_name(job);
  request.set_include_video(mode.include_video);
  request.set_hold(mode.hold);
  while (true) {
    bool finished = false;
    absl::Status handled;
    absl::Status status = ReadStream<v1::JobEvent>(
        [&](grpc::ClientContext* context) { return stub_->WatchJob(context, request); },
        [&](const v1::JobEvent& event) {
          retry.Arrived();
          const int64_t last_sequence = request.after_sequence();
          finished = finished || FinalState(event) != v1::JOB_STATE_UNSPECIFIED;
          if (!event.has_snapshot() && event.sequence() <= last_sequence) return absl::OkStatus();
          request.set_after_sequence(std::max(last_sequence, event.sequence()));
          return handled = handler(event);
        });
    if (!handled.ok()) return handled;
    if (finished) return absl::OkStatus();  // the status after a terminal event only repeats it
    if (status.ok()) status = absl::UnavailableError("the event stream ended early");
    const auto delay = retry.NextDelay(status);
    if (!delay.has_value()) return status;
    if (!Pause(*delay)) return absl::CancelledError("stopped");
  }
}

absl::Status GenerationClient::Download(const std::string& job, int64_t offset,
                                        const ChunkHandler& handler) {
  RetryPolicy retry;
  while (true) {
    bool last = false;
    absl::Status handled;
    absl::Status status = ReadStream<v1::Chunk>(
        [&](grpc::ClientContext* context) {
          v1::DownloadVideoRequest request;
          request.set_name(job);
          request.set_offset(offset);
          return stub_->DownloadVideo(context, request);
        },
        [&](const v1::Chunk& chunk) {
          retry.Arrived();
          handled = handler(chunk);
          offset = chunk.offset() + static_cast<int64_t>(chunk.data().size());
          last = chunk.last();
          return handled;
        });
    if (!handled.ok()) return handled;
    if (last) return absl::OkStatus();
    if (status.ok()) status = absl::UnavailableError("the download ended early");
    const auto delay = retry.NextDelay(status);
    if (!delay.has_value()) return status;
    if (!Pause(*delay)) return absl::CancelledError("stopped");
  }
}

template <typename Request, typename Response>
absl::StatusOr<Response> GenerationClient::Unary(
    grpc::Status (v1::VideoService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const Request& request, std::chrono::seconds limit) {
  grpc::ClientContext context;
  access_.Authorize(context);
  context.set_deadline(std::chrono::system_clock::now() + limit);
  Response response;
  const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
  if (!status.ok()) return DescribeFailure(address_, status);
  return response;
}

absl::StatusOr<v1::Job> GenerationClient::CreateJob(const v1::GenerateRequest& request, bool hold) {
  v1::CreateJobRequest wrapped;
  *wrapped.mutable_request() = request;
  wrapped.set_hold(hold);
  return Unary(&v1::VideoService::Stub::CreateJob, wrapped);
}

absl::StatusOr<v1::Job> GenerationClient::GetJob(const std::string& job) {
  v1::GetJobRequest request;
  request.set_name(job);
  return Unary(&v1::VideoService::Stub::GetJob, request);
}

absl::StatusOr<v1::Job> GenerationClient::CancelJob(const std::string& job) {
  v1::CancelJobRequest request;
  request.set_name(job);
  return Unary(&v1::VideoService::Stub::CancelJob, request, kCancelLimit);
}

absl::Status GenerationClient::DeleteJob(const std::string& job) {
  v1::DeleteJobRequest request;
  request.set_name(job);
  return Unary(&v1::VideoService::Stub::DeleteJob, request).status();
}

absl::StatusOr<bool> GenerationClient::ListJobs(const JobFilter& filter,
                                                const JobHandler& handler) {
  v1::ListJobsRequest request;
  request.set_page_size(filter.limit == 0 ? kPageSize : std::min(filter.limit, kPageSize));
  for (const v1::JobState state : filter.states) request.add_states(state);
  int told = 0;
  while (true) {
    const auto page = Unary(&v1::VideoService::Stub::ListJobs, request);
    if (!page.ok()) return page.status();
    for (const v1::Job& job : page->jobs()) {
      if (filter.limit > 0 && told == filter.limit) return true;
      handler(job);
      ++told;
    }
    if (page->next_page_token().empty()) return false;
    if (filter.limit > 0 && told == filter.limit) return true;
    if (page->next_page_token() == request.page_token()) {
      return absl::InternalError("the server's list does not advance");
    }
    request.set_page_token(page->next_page_token());
  }
}

absl::StatusOr<v1::ListModelsResponse> GenerationClient::ListModels() {
  return Unary(&v1::VideoService::Stub::ListModels, v1::ListModelsRequest());
}

absl::StatusOr<v1::ListGroupsResponse> GenerationClient::ListGroups() {
  return Unary(&v1::VideoService::Stub::ListGroups, v1::ListGroupsRequest());
}

absl::StatusOr<std::string> GenerationClient::Health() {
  const auto health = CheckHealth(channel_, kHealthLimit);
  if (!absl::IsUnavailable(health.status()) && !absl::IsDeadlineExceeded(health.status())) {
    return health;
  }
  return absl::Status(
      health.status().code(),
      absl::StrCat("server ", address_, " is not reachable: ",
                   absl::IsUnavailable(health.status()) ? std::string(health.status().message())
                                                        : "no answer within the time limit"));
}

}  // namespace cogwheel
