#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

// The one seam to other ranks. Works on bytes, counts and an opaque stream; knows no tensor type
// and not what the exchanges are for (worker/journal/ does).
namespace cogwheel {

// A peer died, hung past the time limit, sent something else than expected, or the communicator was
// aborted. The group is then lost: nobody recovers a communicator in place.
class CommError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A member cannot go on with the present work (Communicator::Abandon). The group is whole and goes
// on with the next.
class WorkAbandoned : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct SendPiece {
  int peer = 0;
  std::span<const std::byte> data;
};
struct RecvPiece {
  int peer = 0;
  std::span<std::byte> data;
};

// Where the bytes of an exchange lie: nullptr for host memory, else the CUDA stream that makes and
// uses them on this rank's GPU. All members agree in it.
using StreamHandle = void*;

// Owned by the rank thread; only Abort may come from another thread. All members issue the same
// exchanges in the same order (pieces between the same two ranks match by order of issue and must
// agree in size, else CommError).
class Communicator {
 public:
  // Names an exchange that was started and not yet finished.
  using Ticket = uint64_t;

  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Starts any set of sends and receives, to any peers including oneself; zero-length pieces are
  // legal and cost nothing (both sides leave them out). Never waits for a peer, so several
  // exchanges may be open: buffers must stay untouched until Finish. Each ticket is finished
  // exactly once, in any order.
  virtual Ticket Start(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
                       StreamHandle stream) = 0;

  // Blocks until the exchange is done, at most for the time limit the communicator was made with;
  // then CommError. With a stream: lets what the stream gets from now on wait for the exchange; its
  // faults show in a later call.
  virtual void Finish(Ticket ticket) = 0;

  // True when Finish would not block. Throws CommError if the group is lost.
  virtual bool Done(Ticket ticket) = 0;

  // A communicator over some members, in the order given; every rank in `members` calls it with the
  // same list and the same name, in the same order as its other splits. Ranks outside do not call.
  // Shares the parent's connections.
  virtual std::unique_ptr<Communicator> Split(std::span<const int> members,
                                              const std::string& name) = 0;

  // All exchanges of the world and its splits belong to a work; the first is number 0. A new one
  // begins afresh: what former works have left under way is dropped, their tickets with it. Every
  // rank of the world enters the same works, of rising numbers, between its exchanges; the one it
  // is in already is entered without effect.
  virtual void EnterWork(int64_t number) = 0;

  // This rank cannot go on with the present work: whoever still has exchanges of it, on any rank,
  // gets WorkAbandoned(why) from them. Nobody's device may have one under way (a StreamHandle's).
  virtual void Abandon(const std::string& why) = 0;

  // Thread-safe. Wakes every waiter of this world with CommError(reason); the world is unusable
  // afterwards.
  virtual void Abort(const std::string& reason) = 0;

  // Bytes sent to other ranks so far (not to oneself): tests and metrics compare it with
  // arithmetic.
  virtual int64_t sent_bytes() const = 0;
};

// Blocking forms. Every member calls them with matching arguments.
void Exchange(Communicator& comm, std::span<const SendPiece> sends,
              std::span<const RecvPiece> recvs, StreamHandle stream);
// Root's bytes to everyone; data has the same size everywhere.
void Broadcast(Communicator& comm, int root, std::span<std::byte> data, StreamHandle stream);
// Piece i of `parts` (root only; sizes may differ) receives rank i's `mine`.
void Gather(Communicator& comm, int root, std::span<const std::byte> mine,
            std::span<const std::span<std::byte>> parts, StreamHandle stream);
// Piece i of `parts` receives rank i's `mine` on every rank; sizes may differ by rank.
void AllGather(Communicator& comm, std::span<const std::byte> mine,
               std::span<const std::span<std::byte>> parts, StreamHandle stream);

}  // namespace cogwheel
