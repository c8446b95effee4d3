#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>

#include "worker/comm/mailbox/socket_transport.h"

// The half of the I/O thread that reads. Nothing but std::bad_alloc may be thrown there.
namespace cogwheel {
namespace {

// A message may be a whole latent clip, but never this large: garbage must not make us allocate
// without bound.
constexpr uint64_t kMaxMessageBytes = uint64_t{4} << 30;

std::string TextOf(MessageBytes& body) {
  return {reinterpret_cast<const char*>(body.bytes().data()), body.size()};
}

// Reads until the target is full, the socket is empty (`blocked`) or at its end (the reason).
std::optional<std::string> ReadSome(const Socket& socket, std::span<std::byte> target,
                                    size_t& got_bytes, bool& blocked) {
  while (got_bytes < target.size()) {
    const ssize_t got = recv(socket.fd(), &target[got_bytes], target.size() - got_bytes, 0);
    if (got > 0) {
      got_bytes += got;
    } else if (got == 0) {
      return "closed its connection";
    } else if (errno == EAGAIN) {
      blocked = true;
      return std::nullopt;
    } else if (errno != EINTR) {
      return std::string("cannot be read from: ") + std::strerror(errno);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> SocketTransport::Receive(int peer) {
  Incoming& in = incoming_[peer];
  const Socket& socket = peers_[peer];
  const auto header = std::as_writable_bytes(std::span(&in.header, 1));
  while (true) {
    bool blocked = false;
    auto end = ReadSome(socket, header, in.header_bytes, blocked);
    if (end.has_value() || blocked) return end;
    if (in.header.bytes > kMaxMessageBytes) return "sent a frame that cannot be";
    if (in.body_bytes == 0 && !MakeRoom(peer)) return "sent what there is no memory for";
    end = ReceiveBody(peer, blocked);
    if (end.has_value() || blocked) return end;
    if (!in.dropping) end = TakeFrame(peer);
    if (end.has_value()) return end;
    in.header_bytes = 0;
    in.body_bytes = 0;
    in.dropping = false;
  }
}

// A message can be dropped with its work; other frames' numbers of works are no such thing.
bool SocketTransport::MakeRoom(int peer) {
  Incoming& in = incoming_[peer];
  if (in.dropping || in.body.size() == in.header.bytes || in.body.TryResize(in.header.bytes))
    return true;
  if (in.header.kind != FrameKind::kMessage) return false;
  in.dropping = true;
  Abandon(in.header.work, "out of memory: rank " + std::to_string(world_rank_) + " has no " +
                              std::to_string(in.header.bytes) + " bytes for a message of rank " +
                              std::to_string(peer));
  return true;
}

std::optional<std::string> SocketTransport::ReceiveBody(int peer, bool& blocked) {
  Incoming& in = incoming_[peer];
  if (!in.dropping) return ReadSome(peers_[peer], in.body.bytes(), in.body_bytes, blocked);
  std::array<std::byte, 4096> dropped;
  while (in.body_bytes < in.header.bytes) {
    size_t got = 0;
    const auto end = ReadSome(
        peers_[peer],
        std::span(dropped).first(std::min(dropped.size(), in.header.bytes - in.body_bytes)), got,
        blocked);
    in.body_bytes += got;
    if (end.has_value() || blocked) return end;
  }
  return std::nullopt;
}

// One whole frame.
std::optional<std::string> SocketTransport::TakeFrame(int peer) {
  Incoming& in = incoming_[peer];
  switch (in.header.kind) {
    case FrameKind::kMessage: {
      // Beyond the bound the inbox has failed and says so.
      [[maybe_unused]] const bool fits = inbox_.Deliver({.work = in.header.work,
                                                         .channel_id = in.header.channel_id,
                                                         .from = peer,
                                                         .sequence = in.header.sequence},
                                                        std::exchange(in.body, {}), in.header.mark);
      return std::nullopt;
    }
    case FrameKind::kNote:
      inbox_.HearNote(peer, in.header.mark);
      return std::nullopt;
    case FrameKind::kPromise:
      inbox_.HearPromise(peer, in.header.work, std::chrono::milliseconds(in.header.mark[0]));
      return std::nullopt;
    case FrameKind::kAbandon:
      inbox_.Abandon(in.header.work, TextOf(in.body));
      return std::nullopt;
    case FrameKind::kGoodbye:
      in.said_goodbye = true;
      inbox_.PeerLeft(peer);
      return std::nullopt;
    case FrameKind::kAbort:
      inbox_.Fail("rank " + std::to_string(peer) + " aborted: " + TextOf(in.body));
      return std::nullopt;
  }
  return "sent a frame that cannot be";
}

}  // namespace cogwheel
