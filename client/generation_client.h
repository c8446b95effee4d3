#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "base/mutex.h"
#include "client/retry.h"
#include "client/server_access.h"
#include "cogwheel/v1/video_service.grpc.pb.h"

namespace cogwheel {

// One server's VideoService. Unary calls have deadlines; streams are taken up where they broke,
// also where the server cut one off (CANCELLED). Streams belong to one thread; Stop and the unary
// calls may come from others.
class GenerationClient {
 public:
  using EventHandler = std::function<absl::Status(const v1::JobEvent&)>;
  using ChunkHandler = std::function<absl::Status(const v1::Chunk&)>;
  using JobHandler = std::function<void(const v1::Job&)>;
  struct JobFilter {
    std::vector<v1::JobState> states;  // empty = all
    int limit = 0;                     // the newest ones; 0 = all
  };

  explicit GenerationClient(const std::string& address, ServerAccess access = {});

  struct WatchMode {
    bool include_video = false;
    bool hold = false;
  };
  // Hands every event to `handler`, each sequence number once, up to the terminal one. OK when
  // there was a terminal event, whichever it was; else why there is none. A handler's error ends
  // the stream and is returned.
  absl::Status Watch(const std::string& job, WatchMode mode, const EventHandler& handler);
  // From `offset` to the last chunk.
  absl::Status Download(const std::string& job, int64_t offset, const ChunkHandler& handler);

  // `hold`: the job is cancelled when nobody has held it for a while; servers of the release before
  // do not look at it.
  absl::StatusOr<v1::Job> CreateJob(const v1::GenerateRequest& request, bool hold);
  absl::StatusOr<v1::Job> GetJob(const std::string& job);
  absl::StatusOr<v1::Job> CancelJob(const std::string& job);
  absl::Status DeleteJob(const std::string& job);
  // Newest first, page by page. True if there are more than the limit.
  absl::StatusOr<bool> ListJobs(const JobFilter& filter, const JobHandler& handler);
  absl::StatusOr<v1::ListModelsResponse> ListModels();
  absl::StatusOr<v1::ListGroupsResponse> ListGroups();
  // As CheckHealth.
  absl::StatusOr<std::string> Health();

  // Ends the running stream with CANCELLED and lets no other start.
  void Stop() COGWHEEL_EXCLUDES(mutex_);

 private:
  static constexpr std::chrono::seconds kUnaryLimit{30};

  template <typename Request, typename Response>
  absl::StatusOr<Response> Unary(grpc::Status (v1::VideoService::Stub::*method)(
                                     grpc::ClientContext*, const Request&, Response*),
                                 const Request& request, std::chrono::seconds limit = kUnaryLimit);
  // One stream from `open` to its end; `handle` sees its messages.
  template <typename Message, typename Open, typename Handle>
  absl::Status ReadStream(const Open& open, const Handle& handle);
  bool Activate(grpc::ClientContext* context) COGWHEEL_EXCLUDES(mutex_);
  // False when stopped meanwhile.
  bool Pause(std::chrono::milliseconds delay) COGWHEEL_EXCLUDES(mutex_);

  const std::string address_;
  const ServerAccess access_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::VideoService::Stub> stub_;

  Mutex mutex_;
  CondVar changed_;
  bool stopped_ COGWHEEL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* active_ COGWHEEL_GUARDED_BY(mutex_) = nullptr;
};

// The state that `event` ends its job with (also a snapshot of a finished job), else
// JOB_STATE_UNSPECIFIED.
v1::JobState FinalState(const v1::JobEvent& event);

}  // namespace cogwheel
