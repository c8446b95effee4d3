#pragma once

#include <atomic>
#include <string>
#include <utility>

#include <grpcpp/support/server_callback.h>

#include "cogwheel/internal/v1/rank_control.grpc.pb.h"
#include "server/dispatch/event_loop.h"
#include "server/groups/rank_groups.h"

namespace cogwheel {

// The gRPC edge of the groups: one reactor per Join stream. Messages go to the dispatcher's thread
// in order, a few at a time: a rank that sends faster than they are handled is not read.
class RankControlService final : public internal::v1::RankControl::CallbackService {
 public:
  // `token_digest`: SHA-256 of the secret that ranks must send (`authorization: bearer ...`); empty
  // = they need none.
  RankControlService(EventLoop& loop, RankGroups& groups, std::string token_digest)
      : loop_(loop), groups_(groups), token_digest_(std::move(token_digest)) {}

  grpc::ServerBidiReactor<internal::v1::RankMessage, internal::v1::FrontendMessage>* Join(
      grpc::CallbackServerContext* context) override;

 private:
  EventLoop& loop_;
  RankGroups& groups_;
  const std::string token_digest_;
  std::atomic<RankId> last_id_{0};
};

}  // namespace cogwheel
