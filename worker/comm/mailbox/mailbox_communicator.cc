#include "worker/comm/mailbox/mailbox_communicator.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "base/fnv.h"

namespace cogwheel {
namespace {

// What a rank has promised runs out while it waits.
constexpr std::chrono::seconds kWaitWorthAWord{1};

std::vector<int> AllRanks(int size) {
  std::vector<int> ranks(size);
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

}  // namespace

MailboxCommunicator::MailboxCommunicator(std::shared_ptr<Transport> transport, int size,
                                         std::chrono::milliseconds time_limit)
    : MailboxCommunicator(std::move(transport),
                          {.name = "world", .id = 0, .members = AllRanks(size)}, time_limit) {}

MailboxCommunicator::MailboxCommunicator(std::shared_ptr<Transport> transport, Channel channel,
                                         std::chrono::milliseconds time_limit)
    : transport_(std::move(transport)),
      channel_(std::move(channel)),
      time_limit_(time_limit),
      next_send_(channel_.members.size()),
      next_recv_(channel_.members.size()) {
  const auto self = std::ranges::find(channel_.members, transport_->world_rank());
  if (self == channel_.members.end()) {
    throw std::invalid_argument("rank " + std::to_string(transport_->world_rank()) +
                                " is not a member of communicator '" + channel_.name + "'");
  }
  rank_ = static_cast<int>(self - channel_.members.begin());
}

MailboxCommunicator::~MailboxCommunicator() { transport_->inbox().Close(channel_.id); }

int MailboxCommunicator::WorldRank(int member) const {
  if (member < 0 || member >= size()) {
    throw std::invalid_argument("communicator '" + channel_.name + "' has no rank " +
                                std::to_string(member));
  }
  return channel_.members[member];
}

// Counts afresh when the world has entered another work.
void MailboxCommunicator::Follow(int64_t work) {
  if (std::exchange(work_, work) == work) return;
  std::ranges::fill(next_send_, 0);
  std::ranges::fill(next_recv_, 0);
  open_.clear();
}

void MailboxCommunicator::EnterWork(int64_t number) {
  if (number > work()) *promised_ = {};
  transport_->inbox().EnterWork(number);
}

void MailboxCommunicator::Abandon(const std::string& why) {
  transport_->Abandon(transport_->inbox().work(), why);
}

Communicator::Ticket MailboxCommunicator::Start(std::span<const SendPiece> sends,
                                                std::span<const RecvPiece> recvs,
                                                StreamHandle /*stream*/) {
  const auto [mark, work] = transport_->inbox().Issue(channel_.id);
  Follow(work);
  for (const SendPiece& piece : sends) {
    if (piece.data.empty()) continue;
    const int to = WorldRank(piece.peer);
    if (piece.peer != rank_) *sent_bytes_ += static_cast<int64_t>(piece.data.size());
    transport_->Post(to,
                     {.work = work,
                      .channel_id = channel_.id,
                      .from = transport_->world_rank(),
                      .sequence = next_send_[piece.peer]++},
                     mark, piece.data);
  }
  std::vector<Expected> expected;
  for (const RecvPiece& piece : recvs) {
    if (piece.data.empty()) continue;
    const int from = WorldRank(piece.peer);
    expected.push_back({.key = {.work = work,
                                .channel_id = channel_.id,
                                .from = from,
                                .sequence = next_recv_[piece.peer]++},
                        .target = piece.data});
  }
  open_[next_ticket_] = std::move(expected);
  return next_ticket_++;
}

void MailboxCommunicator::Finish(Ticket ticket) {
  const auto since = std::chrono::steady_clock::now();
  const auto node = open_.extract(ticket);
  if (node.empty()) throw std::logic_error("a ticket is finished that is not open");
  for (const Expected& message : node.mapped()) {
    MessageBytes data = transport_->inbox().Take(message.key, channel_.name, since, time_limit_);
    if (data.size() != message.target.size()) {
      throw CommError("rank " + std::to_string(message.key.from) + " sent " +
                      std::to_string(data.size()) + " bytes where rank " +
                      std::to_string(transport_->world_rank()) + " expects " +
                      std::to_string(message.target.size()) + " (channel " + channel_.name +
                      ", message " + std::to_string(message.key.sequence) + ")");
    }
    std::ranges::copy(data.bytes(), message.target.begin());
  }
  const bool waited = std::chrono::steady_clock::now() - since > kWaitWorthAWord;
  if (waited && promised_->count() > 0) PostPromise(*promised_);
}

void MailboxCommunicator::PostNote(const MessageMark& note) {
  transport_->inbox().ThrowIfFailed();
  transport_->PostNote(note);
}

void MailboxCommunicator::PostPromise(std::chrono::milliseconds time) {
  transport_->inbox().ThrowIfFailed();
  *promised_ = time;
  transport_->PostPromise(time);
}

bool MailboxCommunicator::Done(Ticket ticket) {
  const auto open = open_.find(ticket);
  if (open == open_.end()) throw std::logic_error("a ticket is asked for that is not open");
  transport_->inbox().ThrowIfFailed();
  return std::ranges::all_of(open->second, [this](const Expected& message) {
    return transport_->inbox().Has(message.key, channel_.name);
  });
}

std::unique_ptr<Communicator> MailboxCommunicator::Split(std::span<const int> members,
                                                         const std::string& name) {
  // The members compute the same number for the split without talking.
  Fnv id;
  id.AddNumber(channel_.id);
  id.AddText(name);
  Channel split = {.name = name, .id = 0, .members = {}};
  for (const int member : members) {
    split.members.push_back(WorldRank(member));
    id.AddNumber(split.members.back());
  }
  id.AddNumber(splits_[id.hash()]++);
  split.id = id.hash();
  auto result = std::make_unique<MailboxCommunicator>(transport_, std::move(split), time_limit_);
  result->sent_bytes_ = sent_bytes_;
  result->promised_ = promised_;
  return result;
}

}  // namespace cogwheel
