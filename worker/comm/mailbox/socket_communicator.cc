#include "worker/comm/mailbox/socket_communicator.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

#include "worker/comm/mailbox/socket_transport.h"

namespace cogwheel {
namespace {

constexpr std::array<char, 8> kMagic = {'c', 'o', 'g', 'w', 'h', 'e', 'e', 'l'};
constexpr size_t kTokenBytes = 64;
// A caller that has not greeted by then is a stranger. So many may be waiting.
constexpr std::chrono::milliseconds kGreetingLimit{5000};
constexpr size_t kMaxCallers = 64;

// First bytes on a connection, both ways: each side proves that it belongs to this epoch.
struct Greeting {
  std::array<char, 8> magic = kMagic;
  std::array<char, kTokenBytes> token = {};
  int32_t rank = 0;
  int32_t size = 0;
};

Greeting MakeGreeting(const SocketWorldOptions& options) {
  if (options.token.size() > kTokenBytes) {
    throw std::invalid_argument("the token of a world has " + std::to_string(options.token.size()) +
                                " bytes; at most " + std::to_string(kTokenBytes) + " can be used");
  }
  Greeting greeting;
  std::ranges::copy(options.token, greeting.token.begin());
  greeting.rank = options.rank;
  greeting.size = static_cast<int32_t>(options.addresses.size());
  return greeting;
}

bool SendGreeting(const Socket& socket, const Greeting& greeting, Deadline deadline) {
  return SendAll(socket, std::as_bytes(std::span(&greeting, 1)), deadline);
}

// Both belong to this epoch, and the other is a rank of it.
bool AreOfOneWorld(const Greeting& mine, const Greeting& theirs) {
  return theirs.magic == mine.magic && theirs.token == mine.token && theirs.size == mine.size &&
         theirs.rank >= 0 && theirs.rank < mine.size && theirs.rank != mine.rank;
}

// Higher ranks connect to lower ones: exactly one connection per pair.
Socket GreetLower(int peer, const SocketWorldOptions& options, Deadline deadline) {
  const Greeting mine = MakeGreeting(options);
  Socket socket = ConnectTo(options.addresses[peer], deadline);
  Greeting theirs;
  if (!SendGreeting(socket, mine, deadline) ||
      !RecvAll(socket, std::as_writable_bytes(std::span(&theirs, 1)), deadline) ||
      !AreOfOneWorld(mine, theirs) || theirs.rank != peer) {
    throw CommError("rank " + std::to_string(peer) + " at " + options.addresses[peer] +
                    " did not greet rank " + std::to_string(options.rank) +
                    " back as a member of this epoch");
  }
  return socket;
}

// The other side of GreetLower. Whoever connects is heard beside the others, so that a stranger
// who says nothing, or anything else, holds up nobody.
class Doorman {
 public:
  Doorman(const PeerListener& listener, const SocketWorldOptions& options, Deadline deadline)
      : listen_fd_(listener.fd()), mine_(MakeGreeting(options)), deadline_(deadline) {}

  // Fills peers[i] for all i above this rank.
  void AdmitHigher(std::vector<Socket>& peers);

 private:
  struct Caller {
    Socket socket;
    Greeting greeting;
    size_t got_bytes = 0;
    Deadline deadline;
  };
  enum class Word { kUnfinished, kGreeted, kRefused };

  void WaitForCallers();
  static Word Hear(Caller& caller);
  bool Admit(Caller& caller, std::vector<Socket>& peers) const;

  const int listen_fd_;
  const Greeting mine_;
  const Deadline deadline_;
  std::vector<Caller> callers_;
};

void Doorman::AdmitHigher(std::vector<Socket>& peers) {
  auto missing = static_cast<int>(peers.size()) - 1 - mine_.rank;
  while (missing > 0) {
    WaitForCallers();
    std::vector<Caller> waiting;
    for (Caller& caller : callers_) {
      const Word word = Hear(caller);
      if (word == Word::kGreeted && Admit(caller, peers)) --missing;
      const bool in_time = std::chrono::steady_clock::now() < caller.deadline;
      if (word == Word::kUnfinished && in_time) waiting.push_back(std::move(caller));
    }
    callers_ = std::move(waiting);
    if (missing > 0 && std::chrono::steady_clock::now() >= deadline_) {
      throw CommError(std::to_string(missing) + " of the higher ranks did not connect to rank " +
                      std::to_string(mine_.rank) + " within the time limit");
    }
  }
}

// Until somebody connects or speaks, or somebody's time is over.
void Doorman::WaitForCallers() {
  Deadline until = deadline_;
  const bool room = callers_.size() < kMaxCallers;
  std::vector<pollfd> entries = {{.fd = room ? listen_fd_ : -1, .events = POLLIN, .revents = 0}};
  for (const Caller& caller : callers_) {
    entries.push_back({.fd = caller.socket.fd(), .events = POLLIN, .revents = 0});
    until = std::min(until, caller.deadline);
  }
  poll(entries.data(), entries.size(), MillisecondsTo(until));
  if ((entries[0].revents & POLLIN) == 0) return;
  Socket socket = AcceptFrom(listen_fd_);
  if (!socket.valid()) return;
  callers_.push_back({.socket = std::move(socket),
                      .greeting = {},
                      .got_bytes = 0,
                      .deadline = std::chrono::steady_clock::now() + kGreetingLimit});
}

Doorman::Word Doorman::Hear(Caller& caller) {
  const auto target = std::as_writable_bytes(std::span(&caller.greeting, 1));
  while (caller.got_bytes < target.size()) {
    const ssize_t got =
        recv(caller.socket.fd(), &target[caller.got_bytes], target.size() - caller.got_bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return Word::kUnfinished;
    if (got <= 0) return Word::kRefused;
    caller.got_bytes += got;
  }
  return Word::kGreeted;
}

// False for a stranger, and for a second caller of one rank.
bool Doorman::Admit(Caller& caller, std::vector<Socket>& peers) const {
  const int peer = caller.greeting.rank;
  if (!AreOfOneWorld(mine_, caller.greeting) || peer < mine_.rank || peers[peer].valid()) {
    return false;
  }
  if (!SendGreeting(caller.socket, mine_, caller.deadline)) return false;
  peers[peer] = std::move(caller.socket);
  return true;
}

}  // namespace

std::unique_ptr<MailboxCommunicator> ConnectSocketWorld(PeerListener listener,
                                                        const SocketWorldOptions& options) {
  const int size = static_cast<int>(options.addresses.size());
  const Deadline deadline = std::chrono::steady_clock::now() + options.connect_limit;
  std::vector<Socket> peers(size);
  for (int peer = 0; peer < options.rank; ++peer) {
    peers[peer] = GreetLower(peer, options, deadline);
  }
  Doorman(listener, options, deadline).AdmitHigher(peers);
  return std::make_unique<MailboxCommunicator>(
      std::make_shared<SocketTransport>(options.rank, std::move(peers), options.held_bytes_per_peer,
                                        options.marks),
      size, options.time_limit);
}

}  // namespace cogwheel
