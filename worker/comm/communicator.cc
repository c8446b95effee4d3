#include "worker/comm/communicator.h"

namespace cogwheel {

void Exchange(Communicator& comm, std::span<const SendPiece> sends,
              std::span<const RecvPiece> recvs, StreamHandle stream) {
  comm.Finish(comm.Start(sends, recvs, stream));
}

void Broadcast(Communicator& comm, int root, std::span<std::byte> data, StreamHandle stream) {
  std::vector<SendPiece> sends;
  std::vector<RecvPiece> recvs;
  if (comm.rank() == root) {
    for (int peer = 0; peer < comm.size(); ++peer) {
      if (peer != root) sends.push_back({peer, data});
    }
  } else {
    recvs.push_back({root, data});
  }
  Exchange(comm, sends, recvs, stream);
}

void Gather(Communicator& comm, int root, std::span<const std::byte> mine,
            std::span<const std::span<std::byte>> parts, StreamHandle stream) {
  const SendPiece send{root, mine};
  std::vector<RecvPiece> recvs;
  if (comm.rank() == root) {
    for (int peer = 0; peer < comm.size(); ++peer) recvs.push_back({peer, parts[peer]});
  }
  Exchange(comm, {&send, 1}, recvs, stream);
}

void AllGather(Communicator& comm, std::span<const std::byte> mine,
               std::span<const std::span<std::byte>> parts, StreamHandle stream) {
  std::vector<SendPiece> sends;
  std::vector<RecvPiece> recvs;
  for (int peer = 0; peer < comm.size(); ++peer) {
    sends.push_back({peer, mine});
    recvs.push_back({peer, parts[peer]});
  }
  Exchange(comm, sends, recvs, stream);
}

}  // namespace cogwheel
