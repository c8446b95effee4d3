#include "worker/parallel/mailbox_communicator.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace cogwheel {
namespace {

// FNV-1a: members of a split compute the same context without talking.
uint64_t Mix(uint64_t hash, uint64_t value) {
  for (int byte = 0; byte < 8; ++byte) {
    hash = (hash ^ (value >> (8 * byte) & 0xff)) * 0x100000001b3;
  }
  return hash;
}

}  // namespace

MailboxCommunicator::MailboxCommunicator(std::shared_ptr<Transport> transport,
                                         std::vector<int> members, uint64_t context,
                                         std::chrono::milliseconds time_limit)
    : transport_(std::move(transport)),
      members_(std::move(members)),
      context_(context),
      time_limit_(time_limit),
      next_send_(members_.size()),
      next_recv_(members_.size()) {
  const auto self = std::ranges::find(members_, transport_->world_rank());
  if (self == members_.end()) {
    throw std::invalid_argument("rank " + std::to_string(transport_->world_rank()) +
                                " is not a member of the communicator it makes");
  }
  rank_ = static_cast<int>(self - members_.begin());
}

MailboxCommunicator::~MailboxCommunicator() { transport_->inbox().Close(context_); }

Communicator::Ticket MailboxCommunicator::Start(std::span<const SendPiece> sends,
                                                std::span<const RecvPiece> recvs,
                                                StreamHandle /*stream*/) {
  transport_->inbox().ThrowIfFailed();
  for (const SendPiece& piece : sends) {
    if (piece.data.empty()) continue;
    if (piece.peer != rank_) *sent_bytes_ += static_cast<int64_t>(piece.data.size());
    transport_->Post(members_.at(piece.peer), context_, next_send_[piece.peer]++, piece.data);
  }
  std::vector<Expected> expected;
  for (const RecvPiece& piece : recvs) {
    if (piece.data.empty()) continue;
    expected.push_back({.key = {.context = context_,
                                .from = members_.at(piece.peer),
                                .sequence = next_recv_[piece.peer]++},
                        .target = piece.data});
  }
  open_[next_ticket_] = std::move(expected);
  return next_ticket_++;
}

void MailboxCommunicator::Finish(Ticket ticket) {
  const auto deadline = std::chrono::steady_clock::now() + time_limit_;
  const auto node = open_.extract(ticket);
  if (node.empty()) throw std::logic_error("a ticket is finished twice");
  for (const Expected& message : node.mapped()) {
    transport_->inbox().Take(message.key, message.target, deadline);
  }
}

bool MailboxCommunicator::Done(Ticket ticket) {
  return std::ranges::all_of(open_.at(ticket), [this](const Expected& message) {
    return transport_->inbox().Has(message.key);
  });
}

std::unique_ptr<Communicator> MailboxCommunicator::Split(std::span<const int> members,
                                                         const std::string& name) {
  uint64_t context = Mix(0xcbf29ce484222325, context_);
  for (const char letter : name) context = Mix(context, static_cast<unsigned char>(letter));
  std::vector<int> world_members;
  for (const int member : members) {
    world_members.push_back(members_.at(member));
    context = Mix(context, world_members.back());
  }
  context = Mix(context, splits_[context]++);
  auto split = std::make_unique<MailboxCommunicator>(transport_, std::move(world_members), context,
                                                     time_limit_);
  split->sent_bytes_ = sent_bytes_;
  return split;
}

}  // namespace cogwheel
