#pragma once

#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "worker/comm/communicator.h"

namespace cogwheel {

// Where sends wait for their receives; one for all ranks, which are threads. Thread-safe.
class RendezvousBoard {
 public:
  // Communicator, sender, receiver, the how-manieth between them.
  using Key = std::tuple<std::string, int, int, int64_t>;

  explicit RendezvousBoard(std::chrono::milliseconds limit) : limit_(limit) {}

  void Offer(const Key& key, std::span<const std::byte> data) COGWHEEL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    offered_[key] = data;
    changed_.NotifyAll();
  }
  // Waits for the offer and takes it. CommError when it does not come within the limit.
  void Take(const Key& key, std::span<std::byte> target) COGWHEEL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    Await(key, [&]() COGWHEEL_REQUIRES(mutex_) { return offered_.contains(key); });
    if (offered_[key].size() != target.size()) throw CommError("sizes differ");
    std::memcpy(target.data(), offered_[key].data(), target.size());
    offered_.erase(key);
    changed_.NotifyAll();
  }
  // Waits until the offer was taken. CommError, and it is withdrawn, when that is not within the
  // limit.
  void AwaitTaken(const Key& key) COGWHEEL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    Await(key, [&]() COGWHEEL_REQUIRES(mutex_) { return !offered_.contains(key); });
  }

 private:
  template <typename Condition>
  void Await(const Key& key, const Condition& condition) COGWHEEL_REQUIRES(mutex_) {
    if (changed_.WaitFor(mutex_, limit_, condition)) return;
    offered_.erase(key);
    throw CommError("rank " + std::to_string(std::get<1>(key)) + "'s message to rank " +
                    std::to_string(std::get<2>(key)) + " did not meet its receive");
  }

  const std::chrono::milliseconds limit_;
  Mutex mutex_;
  CondVar changed_;
  std::map<Key, std::span<const std::byte>> offered_ COGWHEEL_GUARDED_BY(mutex_);
};

// NCCL at its strictest: an exchange holds up the whole rank from its Start on until the peers have
// started the matching ones, as it does when something synchronises the GPU right after. The pieces
// of one exchange meet theirs in any order, exchanges of a communicator in the order of their
// starts. Owned by the rank thread.
class RendezvousCommunicator final : public Communicator {
 public:
  // `inner` tells ranks and splits and carries no bytes.
  RendezvousCommunicator(std::unique_ptr<Communicator> inner, std::string name,
                         std::shared_ptr<RendezvousBoard> board)
      : inner_(std::move(inner)), name_(std::move(name)), board_(std::move(board)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Ticket Start(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
               StreamHandle /*stream*/) override {
    std::vector<RendezvousBoard::Key> offers;
    for (const SendPiece& piece : sends) {
      offers.emplace_back(name_, rank(), piece.peer, sent_[piece.peer]++);
      board_->Offer(offers.back(), piece.data);
    }
    for (const RecvPiece& piece : recvs) {
      board_->Take({name_, piece.peer, rank(), received_[piece.peer]++}, piece.data);
    }
    for (const RendezvousBoard::Key& offer : offers) board_->AwaitTaken(offer);
    return 0;
  }
  void Finish(Ticket /*ticket*/) override {}
  bool Done(Ticket /*ticket*/) override { return true; }
  std::unique_ptr<Communicator> Split(std::span<const int> members,
                                      const std::string& name) override {
    std::string split = name_ + "/" + name;
    for (const int member : members) split += " " + std::to_string(member);
    return std::make_unique<RendezvousCommunicator>(inner_->Split(members, name), split, board_);
  }
  void EnterWork(int64_t number) override { inner_->EnterWork(number); }
  void Abandon(const std::string& why) override { inner_->Abandon(why); }
  void Abort(const std::string& reason) override { inner_->Abort(reason); }
  int64_t sent_bytes() const override { return 0; }

 private:
  const std::unique_ptr<Communicator> inner_;
  const std::string name_;
  const std::shared_ptr<RendezvousBoard> board_;
  std::map<int, int64_t> sent_, received_;  // by peer
};

}  // namespace cogwheel
