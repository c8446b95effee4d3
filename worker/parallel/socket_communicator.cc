#include "worker/parallel/socket_communicator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "worker/parallel/socket_transport.h"

namespace cogwheel {
namespace {

constexpr std::array<char, 8> kMagic = {'c', 'o', 'g', 'w', 'h', 'e', 'e', 'l'};
constexpr size_t kTokenBytes = 64;
// A stranger that connects and says nothing is given up after this.
constexpr std::chrono::milliseconds kGreetingLimit{2000};

// First bytes on a connection, both ways: each side proves that it belongs to this epoch.
struct Greeting {
  std::array<char, 8> magic = kMagic;
  std::array<char, kTokenBytes> token = {};
  int32_t rank = 0;
  int32_t size = 0;
};

Greeting MakeGreeting(const SocketWorldOptions& options) {
  Greeting greeting;
  std::copy_n(options.token.begin(), std::min(options.token.size(), kTokenBytes),
              greeting.token.begin());
  greeting.rank = options.rank;
  greeting.size = static_cast<int32_t>(options.addresses.size());
  return greeting;
}

bool SendGreeting(const Socket& socket, const Greeting& greeting, Deadline deadline) {
  return SendAll(socket, std::as_bytes(std::span(&greeting, 1)), deadline);
}

// The peer's rank, or -1 when it is a stranger.
int ReceiveGreeting(const Socket& socket, const Greeting& mine, Deadline deadline) {
  Greeting theirs;
  if (!RecvAll(socket, std::as_writable_bytes(std::span(&theirs, 1)), deadline)) return -1;
  const bool same = theirs.magic == mine.magic && theirs.token == mine.token &&
                    theirs.size == mine.size && theirs.rank >= 0 && theirs.rank < mine.size;
  return same ? theirs.rank : -1;
}

// Higher ranks connect to lower ones: exactly one connection per pair.
Socket GreetLower(int peer, const SocketWorldOptions& options, Deadline deadline) {
  const Greeting mine = MakeGreeting(options);
  Socket socket = ConnectTo(options.addresses[peer], deadline);
  if (!SendGreeting(socket, mine, deadline) || ReceiveGreeting(socket, mine, deadline) != peer) {
    throw CommError("rank " + std::to_string(peer) + " at " + options.addresses[peer] +
                    " did not greet back as a member of this epoch");
  }
  return socket;
}

void AcceptHigher(const PeerListener& listener, const SocketWorldOptions& options,
                  Deadline deadline, std::vector<Socket>& peers) {
  const Greeting mine = MakeGreeting(options);
  int missing = static_cast<int>(options.addresses.size()) - 1 - options.rank;
  while (missing > 0) {
    Socket socket = AcceptFrom(listener.fd(), deadline);
    if (!socket.valid()) {
      throw CommError(std::to_string(missing) + " higher ranks did not connect to rank " +
                      std::to_string(options.rank) + " within the time limit");
    }
    const Deadline greeting_deadline =
        std::min(deadline, std::chrono::steady_clock::now() + kGreetingLimit);
    const int peer = ReceiveGreeting(socket, mine, greeting_deadline);
    if (peer <= options.rank || peers[peer].valid()) continue;  // a stranger: dropped
    if (!SendGreeting(socket, mine, greeting_deadline)) continue;
    peers[peer] = std::move(socket);
    --missing;
  }
}

}  // namespace

std::unique_ptr<Communicator> ConnectSocketWorld(PeerListener listener,
                                                 const SocketWorldOptions& options) {
  const int size = static_cast<int>(options.addresses.size());
  const Deadline deadline = std::chrono::steady_clock::now() + options.connect_limit;
  std::vector<Socket> peers(size);
  for (int peer = 0; peer < options.rank; ++peer) {
    peers[peer] = GreetLower(peer, options, deadline);
  }
  AcceptHigher(listener, options, deadline, peers);
  std::vector<int> members(size);
  std::iota(members.begin(), members.end(), 0);
  return std::make_unique<MailboxCommunicator>(
      std::make_shared<SocketTransport>(options.rank, std::move(peers)), std::move(members),
      /*context=*/0, options.time_limit);
}

}  // namespace cogwheel
