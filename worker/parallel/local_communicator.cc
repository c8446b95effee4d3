#include "worker/parallel/local_communicator.h"

#include <numeric>

#include "worker/parallel/mailbox_communicator.h"

namespace cogwheel {
namespace {

using Inboxes = std::vector<std::unique_ptr<Inbox>>;

class LocalTransport final : public Transport {
 public:
  LocalTransport(std::shared_ptr<Inboxes> inboxes, int rank) : inboxes_(inboxes), rank_(rank) {}

  int world_rank() const override { return rank_; }
  Inbox& inbox() override { return *inboxes_->at(rank_); }
  void Post(int to, uint64_t context, uint64_t sequence, std::span<const std::byte> data) override {
    inboxes_->at(to)->Deliver({.context = context, .from = rank_, .sequence = sequence},
                              {data.begin(), data.end()});
  }
  void Abort(const std::string& reason) override {
    for (const auto& inbox : *inboxes_) inbox->Fail(reason);
  }

 private:
  const std::shared_ptr<Inboxes> inboxes_;
  const int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> MakeLocalWorld(int size,
                                                          std::chrono::milliseconds time_limit) {
  auto inboxes = std::make_shared<Inboxes>();
  for (int rank = 0; rank < size; ++rank) inboxes->push_back(std::make_unique<Inbox>());
  std::vector<int> members(size);
  std::iota(members.begin(), members.end(), 0);
  std::vector<std::unique_ptr<Communicator>> world;
  for (int rank = 0; rank < size; ++rank) {
    world.push_back(std::make_unique<MailboxCommunicator>(
        std::make_shared<LocalTransport>(inboxes, rank), members, /*context=*/0, time_limit));
  }
  return world;
}

}  // namespace cogwheel
