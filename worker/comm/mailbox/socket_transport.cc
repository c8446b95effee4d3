#include "worker/comm/mailbox/socket_transport.h"

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <linux/sockios.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/comm/communicator.h"

namespace cogwheel {
namespace {

using Clock = std::chrono::steady_clock;

// How long the I/O thread goes on sending after the transport is destroyed.
constexpr std::chrono::seconds kLinger{2};
// Every change wakes the I/O thread; while it lingers it also looks at what is not acknowledged.
constexpr int kPollMs = 1000;
constexpr int kLingerPollMs = 2;

// True when the peer's machine has acknowledged every byte.
bool Acknowledged(const Socket& socket) {
  int left_bytes = 0;
  return ioctl(socket.fd(), SIOCOUTQ, &left_bytes) != 0 || left_bytes == 0;
}

}  // namespace

SocketTransport::SocketTransport(int world_rank, std::vector<Socket> peers,
                                 int64_t held_bytes_per_peer, std::shared_ptr<MessageMarks> marks)
    : world_rank_(world_rank),
      held_bytes_per_peer_(held_bytes_per_peer),
      peers_(std::move(peers)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      inbox_(world_rank, held_bytes_per_peer, std::move(marks)),
      incoming_(peers_.size()),
      outgoing_(peers_.size()) {
  if (!wake_.valid()) throw CommError("no eventfd: " + std::string(std::strerror(errno)));
  for (int peer = 0; peer < peer_count(); ++peer) incoming_[peer].open = peers_[peer].valid();
  thread_ = std::thread([this] { Run(); });
}

SocketTransport::~SocketTransport() {
  const bool failed = inbox_.failed();
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    for (Outgoing& queue : outgoing_) {
      if (!failed) PushBack(queue, MakeFrame({.kind = FrameKind::kGoodbye}, {}));
    }
  }
  Wake();
  thread_.join();
}

SocketTransport::Frame SocketTransport::MakeFrame(const FrameHeader& header,
                                                  std::span<const std::byte> body) {
  const auto head = std::as_bytes(std::span(&header, 1));
  Frame frame;
  frame.reserve(head.size() + body.size());
  frame.insert(frame.end(), head.begin(), head.end());
  frame.insert(frame.end(), body.begin(), body.end());
  return frame;
}

void SocketTransport::PushBack(Outgoing& queue, Frame frame) {
  queue.queued_bytes += static_cast<int64_t>(frame.size());
  queue.frames.push_back(std::move(frame));
}

// All but a frame that is half out.
void SocketTransport::DropUnsent(Outgoing& queue) {
  queue.promise.reset();
  while (queue.frames.size() > (queue.sent_of_first > 0 ? 1 : 0)) {
    queue.queued_bytes -= static_cast<int64_t>(queue.frames.back().size());
    queue.frames.pop_back();
  }
  if (queue.frames.empty()) queue.promise_leads = false;
}

// In place of one that is not out yet.
void SocketTransport::PromiseFirst(Outgoing& queue) {
  if (!std::exchange(queue.promise_leads, true)) queue.frames.emplace_front();
  Frame& first = queue.frames.front();
  queue.queued_bytes += static_cast<int64_t>(queue.promise->size() - first.size());
  first = *std::move(queue.promise);
  queue.promise.reset();
}

void SocketTransport::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.fd(), &one, sizeof(one));
}

void SocketTransport::PostNote(const MessageMark& note) {
  PostToOthers(MakeFrame({.kind = FrameKind::kNote, .mark = note}, {}));
}

void SocketTransport::PostPromise(std::chrono::milliseconds time) {
  const int64_t work = inbox_.work();
  inbox_.HearPromise(world_rank_, work, time);
  const Frame frame =
      MakeFrame({.kind = FrameKind::kPromise, .work = work, .mark = {time.count(), 0}}, {});
  {
    const MutexLock lock(mutex_);
    for (int peer = 0; peer < peer_count(); ++peer) {
      if (peer != world_rank_) outgoing_[peer].promise = frame;
    }
  }
  Wake();
}

void SocketTransport::PostToOthers(const Frame& frame) {
  {
    const MutexLock lock(mutex_);
    for (int peer = 0; peer < peer_count(); ++peer) {
      if (peer != world_rank_) PushBack(outgoing_[peer], frame);
    }
  }
  Wake();
}

void SocketTransport::Post(int to, const MessageKey& key, const MessageMark& mark,
                           std::span<const std::byte> data) {
  if (to == world_rank_) {
    const bool fits = inbox_.Deliver(key, MessageBytes(data));
    if (!fits) inbox_.ThrowIfFailed();
    return;
  }
  Frame frame = MakeFrame({.kind = FrameKind::kMessage,
                           .work = key.work,
                           .channel_id = key.channel_id,
                           .sequence = key.sequence,
                           .bytes = data.size(),
                           .mark = mark},
                          data);
  {
    const MutexLock lock(mutex_);
    Outgoing& queue = outgoing_.at(to);
    PushBack(queue, std::move(frame));
    if (queue.queued_bytes > held_bytes_per_peer_) {
      throw CommError("rank " + std::to_string(world_rank_) + " has " +
                      std::to_string(queue.queued_bytes) + " bytes to send to rank " +
                      std::to_string(to) + ", which does not read; the bound is " +
                      std::to_string(held_bytes_per_peer_));
    }
  }
  Wake();
}

void SocketTransport::Abandon(int64_t work, const std::string& why) {
  if (!inbox_.Abandon(work, why)) return;  // the others know
  PostToOthers(MakeFrame({.kind = FrameKind::kAbandon, .work = work, .bytes = why.size()},
                         std::as_bytes(std::span(why))));
}

void SocketTransport::Abort(const std::string& reason) {
  inbox_.Fail(reason);
  const Frame frame = MakeFrame({.kind = FrameKind::kAbort, .bytes = reason.size()},
                                std::as_bytes(std::span(reason)));
  {
    const MutexLock lock(mutex_);
    for (Outgoing& queue : outgoing_) {
      DropUnsent(queue);
      PushBack(queue, frame);
    }
  }
  Wake();
}

bool SocketTransport::Stopping() {
  const MutexLock lock(mutex_);
  return stopping_;
}

bool SocketTransport::HasOutput(int peer) {
  const MutexLock lock(mutex_);
  return !outgoing_[peer].frames.empty() || outgoing_[peer].promise.has_value();
}

std::optional<std::string> SocketTransport::Flush(int peer) {
  const MutexLock lock(mutex_);
  Outgoing& queue = outgoing_[peer];
  while (true) {
    if (queue.promise.has_value() && queue.sent_of_first == 0) PromiseFirst(queue);
    if (queue.frames.empty()) return std::nullopt;
    const Frame& frame = queue.frames.front();
    const ssize_t sent = send(peers_[peer].fd(), &frame[queue.sent_of_first],
                              frame.size() - queue.sent_of_first, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return std::nullopt;
    if (sent < 0) return std::string("cannot be written to: ") + std::strerror(errno);
    queue.sent_of_first += sent;
    if (queue.sent_of_first == frame.size()) {
      queue.queued_bytes -= static_cast<int64_t>(frame.size());
      queue.frames.pop_front();
      queue.sent_of_first = 0;
      queue.promise_leads = false;
    }
  }
}

// A thread that ends by an exception would take the process with it, unexplained.
std::optional<std::string> SocketTransport::ReceiveWithin(int peer) {
  try {
    return Receive(peer);
  } catch (const std::bad_alloc&) {
    return "sent what there is no memory for";
  }
}

void SocketTransport::Serve(int peer, short events) {
  if (!incoming_[peer].open) return;
  std::optional<std::string> end;
  // What arrived before the end is delivered first.
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) end = ReceiveWithin(peer);
  if (!end.has_value()) end = Flush(peer);
  if (!end.has_value()) return;
  incoming_[peer].open = false;
  if (!incoming_[peer].said_goodbye) inbox_.Fail("rank " + std::to_string(peer) + " " + *end);
}

bool SocketTransport::AllSent() {
  for (int peer = 0; peer < peer_count(); ++peer) {
    if (incoming_[peer].open && (HasOutput(peer) || !Acknowledged(peers_[peer]))) return false;
  }
  return true;
}

void SocketTransport::Run() {
  auto give_up = Clock::time_point::max();
  std::vector<pollfd> entries(peers_.size() + 1);  // the last: wake_
  while (Clock::now() < give_up) {
    const bool stopping = Stopping();
    if (stopping && give_up == Clock::time_point::max()) give_up = Clock::now() + kLinger;
    for (int peer = 0; peer < peer_count(); ++peer) {
      const int events = POLLIN | (incoming_[peer].open && HasOutput(peer) ? POLLOUT : 0);
      entries[peer] = {.fd = incoming_[peer].open ? peers_[peer].fd() : -1,
                       .events = static_cast<short>(events),
                       .revents = 0};
    }
    entries.back() = {.fd = wake_.fd(), .events = POLLIN, .revents = 0};
    poll(entries.data(), entries.size(), stopping ? kLingerPollMs : kPollMs);
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t drained = read(wake_.fd(), &count, sizeof(count));
    for (int peer = 0; peer < peer_count(); ++peer) Serve(peer, entries[peer].revents);
    if (stopping && (inbox_.failed() || AllSent())) return;
  }
}

}  // namespace cogwheel
