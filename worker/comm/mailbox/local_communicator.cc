#include "worker/comm/mailbox/local_communicator.h"

#include <utility>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/inbox.h"
#include "worker/comm/mailbox/transport.h"

namespace cogwheel {
namespace {

using Inboxes = std::vector<std::unique_ptr<Inbox>>;

class LocalTransport final : public Transport {
 public:
  LocalTransport(std::shared_ptr<Inboxes> inboxes, int rank)
      : inboxes_(std::move(inboxes)), rank_(rank) {}
  ~LocalTransport() override {
    for (const auto& inbox : *inboxes_) inbox->PeerLeft(rank_);
  }

  int world_rank() const override { return rank_; }
  Inbox& inbox() override { return *inboxes_->at(rank_); }
  void PostNote(const MessageMark& note) override {
    for (size_t peer = 0; peer < inboxes_->size(); ++peer) {
      if (static_cast<int>(peer) != rank_) inboxes_->at(peer)->HearNote(rank_, note);
    }
  }
  void PostPromise(std::chrono::milliseconds time) override {
    const int64_t work = inbox().work();
    for (const auto& inbox : *inboxes_) inbox->HearPromise(rank_, work, time);
  }
  void Post(int to, const MessageKey& key, const MessageMark& mark,
            std::span<const std::byte> data) override {
    const bool fits = inboxes_->at(to)->Deliver(key, MessageBytes(data), mark);
    if (!fits) {
      const std::string reason =
          "rank " + std::to_string(rank_) + " is too far ahead of rank " + std::to_string(to);
      Abort(reason);
      throw CommError(reason);
    }
  }
  void Abandon(int64_t work, const std::string& why) override {
    for (const auto& inbox : *inboxes_) inbox->Abandon(work, why);
  }
  void Abort(const std::string& reason) override {
    for (const auto& inbox : *inboxes_) inbox->Fail(reason);
  }

 private:
  const std::shared_ptr<Inboxes> inboxes_;
  const int rank_;
};

}  // namespace

std::vector<std::unique_ptr<MailboxCommunicator>> MakeLocalWorld(
    int size, std::chrono::milliseconds time_limit, const LocalWorldOptions& options) {
  auto inboxes = std::make_shared<Inboxes>();
  for (int rank = 0; rank < size; ++rank) {
    inboxes->push_back(std::make_unique<Inbox>(rank, options.held_bytes_per_peer,
                                               options.marks ? options.marks(rank) : nullptr));
  }
  std::vector<std::unique_ptr<MailboxCommunicator>> world;
  for (int rank = 0; rank < size; ++rank) {
    world.push_back(std::make_unique<MailboxCommunicator>(
        std::make_shared<LocalTransport>(inboxes, rank), size, time_limit));
  }
  return world;
}

}  // namespace cogwheel
