#include "worker/parallel/socket_transport.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cogwheel {
namespace {

// A message may be a whole latent clip, but never this large: a stranger's bytes must not make us
// allocate without bound.
constexpr uint64_t kMaxMessageBytes = uint64_t{4} << 30;
// How long the I/O thread goes on writing queued messages after the transport is destroyed.
constexpr int kLingerMs = 2000;

}  // namespace

SocketTransport::SocketTransport(int world_rank, std::vector<Socket> peers)
    : world_rank_(world_rank),
      peers_(std::move(peers)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      incoming_(peers_.size()),
      outgoing_(peers_.size()),
      thread_([this] { Run(); }) {}

SocketTransport::~SocketTransport() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
}

void SocketTransport::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.fd(), &one, sizeof(one));
}

void SocketTransport::Post(int to, uint64_t context, uint64_t sequence,
                           std::span<const std::byte> data) {
  if (to == world_rank_) {
    inbox_.Deliver({.context = context, .from = to, .sequence = sequence},
                   {data.begin(), data.end()});
    return;
  }
  const FrameHeader header = {.context = context, .sequence = sequence, .size = data.size()};
  std::vector<std::byte> frame(sizeof(header) + data.size());
  std::memcpy(frame.data(), &header, sizeof(header));
  std::memcpy(frame.data() + sizeof(header), data.data(), data.size());
  {
    MutexLock lock(mutex_);
    outgoing_.at(to).frames.push_back(std::move(frame));
  }
  Wake();
}

void SocketTransport::Abort(const std::string& reason) {
  inbox_.Fail(reason);
  for (const Socket& peer : peers_) {
    if (peer.valid()) shutdown(peer.fd(), SHUT_RDWR);
  }
}

bool SocketTransport::Stopping() {
  MutexLock lock(mutex_);
  return stopping_;
}

bool SocketTransport::HasOutput(int peer) {
  MutexLock lock(mutex_);
  return !outgoing_[peer].frames.empty();
}

bool SocketTransport::Flush(int peer) {
  MutexLock lock(mutex_);
  Outgoing& queue = outgoing_[peer];
  while (!queue.frames.empty()) {
    const std::vector<std::byte>& frame = queue.frames.front();
    const ssize_t sent = send(peers_[peer].fd(), frame.data() + queue.sent_of_first,
                              frame.size() - queue.sent_of_first, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    queue.sent_of_first += sent;
    if (queue.sent_of_first == frame.size()) {
      queue.frames.pop_front();
      queue.sent_of_first = 0;
    }
  }
  return true;
}

bool SocketTransport::ReadSome(int peer, std::byte* target, size_t want, size_t* got_bytes,
                               bool* blocked) {
  while (*got_bytes < want) {
    const ssize_t got = recv(peers_[peer].fd(), target + *got_bytes, want - *got_bytes, 0);
    if (got == 0) return false;
    if (got < 0) {
      *blocked = errno == EAGAIN;
      if (*blocked) return true;
      if (errno == EINTR) continue;
      return false;
    }
    *got_bytes += got;
  }
  return true;
}

bool SocketTransport::Receive(int peer) {
  Incoming& in = incoming_[peer];
  bool blocked = false;
  while (true) {
    auto* header = reinterpret_cast<std::byte*>(&in.header);
    if (!ReadSome(peer, header, sizeof(in.header), &in.header_bytes, &blocked)) return false;
    if (blocked) return true;
    if (in.header.size > kMaxMessageBytes) return false;
    in.body.resize(in.header.size);
    if (!ReadSome(peer, in.body.data(), in.body.size(), &in.body_bytes, &blocked)) return false;
    if (blocked) return true;
    inbox_.Deliver({.context = in.header.context, .from = peer, .sequence = in.header.sequence},
                   std::move(in.body));
    in = {};
  }
}

void SocketTransport::Run() {
  std::vector<bool> alive(peers_.size());
  for (size_t peer = 0; peer < peers_.size(); ++peer) alive[peer] = peers_[peer].valid();
  auto give_up = std::chrono::steady_clock::time_point::max();
  while (std::chrono::steady_clock::now() < give_up) {
    const bool stopping = Stopping();
    if (stopping && give_up == std::chrono::steady_clock::time_point::max()) {
      give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(kLingerMs);
    }
    std::vector<pollfd> entries = {{.fd = wake_.fd(), .events = POLLIN, .revents = 0}};
    bool output = false;
    for (size_t peer = 0; peer < peers_.size(); ++peer) {
      const bool wants_out = alive[peer] && HasOutput(static_cast<int>(peer));
      output = output || wants_out;
      entries.push_back({.fd = alive[peer] ? peers_[peer].fd() : -1,
                         .events = static_cast<short>(POLLIN | (wants_out ? POLLOUT : 0)),
                         .revents = 0});
    }
    if (stopping && !output) return;
    poll(entries.data(), entries.size(), stopping ? 50 : 1000);
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t drained = read(wake_.fd(), &count, sizeof(count));
    for (int peer = 0; peer < static_cast<int>(peers_.size()); ++peer) {
      if (!alive[peer]) continue;
      const short events = entries[peer + 1].revents;
      // What arrived before the end is delivered first.
      const bool readable = events & (POLLIN | POLLHUP | POLLERR);
      if ((readable && !Receive(peer)) || !Flush(peer)) {
        alive[peer] = false;
        if (!stopping) inbox_.Fail("rank " + std::to_string(peer) + " closed its connection");
      }
    }
  }
}

}  // namespace cogwheel
