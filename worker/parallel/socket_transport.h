#pragma once

#include <deque>
#include <thread>
#include <vector>

#include "proto/contract/mutex.h"
#include "worker/parallel/mailbox_communicator.h"
#include "worker/parallel/peer_socket.h"

namespace cogwheel {

// Messages over one TCP connection per peer. One I/O thread alone touches the sockets: it writes
// what Post queued and delivers what arrives. A connection that ends fails the inbox at once.
class SocketTransport final : public Transport {
 public:
  // peers[i] is the connection to world rank i; peers[world_rank] is invalid.
  SocketTransport(int world_rank, std::vector<Socket> peers);
  ~SocketTransport() override;

  int world_rank() const override { return world_rank_; }
  Inbox& inbox() override { return inbox_; }
  void Post(int to, uint64_t context, uint64_t sequence, std::span<const std::byte> data) override;
  void Abort(const std::string& reason) override;

 private:
  struct FrameHeader {
    uint64_t context = 0;
    uint64_t sequence = 0;
    uint64_t size = 0;
  };
  // Touched by the I/O thread only.
  struct Incoming {
    FrameHeader header;
    size_t header_bytes = 0;
    std::vector<std::byte> body;
    size_t body_bytes = 0;
  };
  struct Outgoing {
    std::deque<std::vector<std::byte>> frames;
    size_t sent_of_first = 0;
  };

  void Run();
  void Wake();
  bool Flush(int peer) COGWHEEL_EXCLUDES(mutex_);  // false: the connection is gone
  bool Receive(int peer);                          // false: the connection is gone
  bool ReadSome(int peer, std::byte* target, size_t want, size_t* got_bytes, bool* blocked);
  bool HasOutput(int peer) COGWHEEL_EXCLUDES(mutex_);
  bool Stopping() COGWHEEL_EXCLUDES(mutex_);

  const int world_rank_;
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
