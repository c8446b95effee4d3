#pragma once

#include <atomic>
#include <string>

#include <grpcpp/support/server_callback.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "cogwheel/internal/v1/rank_control.grpc.pb.h"
#include "server/api/rank_streams.h"
#include "server/dispatch/event_loop.h"
#include "server/groups/rank_groups.h"
#include "server/metrics/server_metrics.h"

namespace cogwheel {

// The gRPC edge of the groups: one reactor per Join stream. Messages go to the dispatcher's thread
// in order, a few at a time: a rank that sends faster than they are handled is not read. Heartbeats
// are answered here, on gRPC's threads: that the dispatcher is behind is no reason for ranks to
// leave.
class RankControlService final : public internal::v1::RankControl::CallbackService {
 public:
  struct Parts {
    EventLoop& loop;
    RankGroups& groups;
    const Clock& clock;
    ServerMetrics& metrics;
    // SHA-256 of the secret that ranks must send (`authorization: bearer ...`); empty = they need
    // none.
    std::string token_digest;
  };
  explicit RankControlService(const Parts& parts) : parts_(parts), streams_(parts.loop) {}

  grpc::ServerBidiReactor<internal::v1::RankMessage, internal::v1::FrontendMessage>* Join(
      grpc::CallbackServerContext* context) override;

 private:
  // Counts it; the log hears of it now and then.
  void Refuse(const grpc::CallbackServerContext& context, const absl::Status& why)
      COGWHEEL_EXCLUDES(mutex_);

  const Parts parts_;
  RankStreams streams_;
  std::atomic<RankId> last_id_{0};
  Mutex mutex_;
  std::chrono::steady_clock::time_point next_line_ COGWHEEL_GUARDED_BY(mutex_){};
  int unlogged_ COGWHEEL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cogwheel
