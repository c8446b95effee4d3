#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "worker/comm/mailbox/peer_socket.h"
#include "worker/comm/mailbox/transport.h"

namespace cogwheel {

// Messages over one TCP connection per peer. One I/O thread alone reads and writes the sockets: it
// sends what Post queued and delivers what arrives. A message that there is no memory for ends its
// work (Abandon). A connection that ends without a goodbye fails the inbox at once. Bounds, per
// peer: held_bytes_per_peer waiting to be sent, as much received and not taken, and what the
// kernel's socket buffers hold.
class SocketTransport final : public Transport {
 public:
  // peers[i] is the connection to world rank i; peers[world_rank] is invalid.
  SocketTransport(int world_rank, std::vector<Socket> peers, int64_t held_bytes_per_peer,
                  std::shared_ptr<MessageMarks> marks);
  // Says goodbye and waits until all that was posted has reached the peers' machines, at most 2 s;
  // at once when the world has failed.
  ~SocketTransport() override;

  int world_rank() const override { return world_rank_; }
  Inbox& inbox() override { return inbox_; }
  void Post(int to, const MessageKey& key, const MessageMark& mark,
            std::span<const std::byte> data) override;
  void PostNote(const MessageMark& note) override;
  void PostPromise(std::chrono::milliseconds time) override;
  void Abandon(int64_t work, const std::string& why) override;
  // Also tells the peers, in place of what was still to be sent to them.
  void Abort(const std::string& reason) override;

 private:
  enum class FrameKind : uint64_t {
    kMessage = 1,
    kGoodbye = 2,
    kAbort = 3,
    kNote = 4,
    kPromise = 5,
    kAbandon = 6,
  };
  // In the byte order of the host: all ranks of a world run on the same kind of machine.
  struct FrameHeader {
    FrameKind kind = FrameKind::kMessage;
    int64_t work = 0;
    uint64_t channel_id = 0;
    uint64_t sequence = 0;
    uint64_t bytes = 0;
    MessageMark mark = {};  // of a promise: its milliseconds
  };
  using Frame = std::vector<std::byte>;
  struct Outgoing {
    std::deque<Frame> frames;
    size_t sent_of_first = 0;
    std::optional<Frame> promise;  // the latest, ahead of `frames`: its clock runs from its arrival
    bool promise_leads = false;    // the first of `frames` is one
    int64_t queued_bytes = 0;      // of `frames`
  };
  // The connection to one peer; touched by the I/O thread only.
  struct Incoming {
    bool open = false;
    bool said_goodbye = false;
    FrameHeader header;
    size_t header_bytes = 0;
    MessageBytes body;
    size_t body_bytes = 0;  // read so far
    bool dropping = false;  // there was no memory for the body
  };

  // Keep queued_bytes.
  static void PushBack(Outgoing& queue, Frame frame);
  static void DropUnsent(Outgoing& queue);
  static void PromiseFirst(Outgoing& queue);
  static Frame MakeFrame(const FrameHeader& header, std::span<const std::byte> body);
  void PostToOthers(const Frame& frame);
  int peer_count() const { return static_cast<int>(peers_.size()); }
  void Wake();
  bool Stopping() COGWHEEL_EXCLUDES(mutex_);
  bool HasOutput(int peer) COGWHEEL_EXCLUDES(mutex_);

  // The I/O thread.
  void Run();
  bool AllSent();
  void Serve(int peer, short events);
  // Both say why the connection is at its end, or nothing.
  std::optional<std::string> Flush(int peer) COGWHEEL_EXCLUDES(mutex_);
  std::optional<std::string> ReceiveWithin(int peer);
  std::optional<std::string> Receive(int peer);
  std::optional<std::string> ReceiveBody(int peer, bool& blocked);
  bool MakeRoom(int peer);
  std::optional<std::string> TakeFrame(int peer);

  const int world_rank_;
  const int64_t held_bytes_per_peer_;
  const std::vector<Socket> peers_;
  const Socket wake_;  // eventfd
  Inbox inbox_;
  std::vector<Incoming> incoming_;
  Mutex mutex_;
  std::vector<Outgoing> outgoing_ COGWHEEL_GUARDED_BY(mutex_);
  bool stopping_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when all else is ready
};

}  // namespace cogwheel
