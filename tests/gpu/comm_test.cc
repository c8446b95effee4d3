// NCCL between processes against what the local communicator's arithmetic gives.
#include <array>
#include <cstring>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/gpu/gpu_ranks.h"
#include "tests/support/barrier.h"
#include "tests/support/plain_attention.h"
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/device/device.h"
#include "worker/sequence/exchange.h"
#include "worker/sequence/links.h"
#include "worker/sequence/ring.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

class GpuComm : public testing::Test {
 protected:
  void SetUp() override {
    if (size() < 2) GTEST_SKIP() << "needs two ranks, COGWHEEL_RANKS says " << size();
  }
  static int size() { return RanksForTests(); }
};

// Bytes that tell sender, receiver and place.
at::Tensor Marked(int from, int to, int64_t length) {
  return (at::arange(length, at::kLong) * 7 + from * 31 + to * 57).to(at::kByte);
}
int64_t Length(int from, int to) { return (from * 5 + to * 3) % 4 * 100'003; }  // some are 0

void AllToAll(Communicator& comm, int round) {
  std::vector<at::Tensor> sends, recvs;
  std::vector<SendPiece> send_pieces;
  std::vector<RecvPiece> recv_pieces;
  const at::TensorOptions on_gpu = at::TensorOptions(at::kByte).device(at::kCUDA);
  for (int peer = 0; peer < comm.size(); ++peer) {
    sends.push_back(Marked(comm.rank() + round, peer, Length(comm.rank(), peer)).to(at::kCUDA));
    recvs.push_back(at::full({Length(peer, comm.rank())}, 255, on_gpu));
    send_pieces.push_back({.peer = peer, .data = TensorBytes(sends.back())});
    recv_pieces.push_back({.peer = peer, .data = TensorBytes(recvs.back())});
  }
  Exchange(comm, send_pieces, recv_pieces, StreamOf(sends[0]));
  for (int peer = 0; peer < comm.size(); ++peer) {
    EXPECT_TRUE(
        at::equal(recvs[peer].cpu(), Marked(peer + round, comm.rank(), Length(peer, comm.rank()))))
        << "from " << peer << " to " << comm.rank();
  }
}

TEST_F(GpuComm, UnevenAllToAllIsExact) {
  SpawnGpuRanks(size(), [](Communicator& world) {
    for (int round = 0; round < 20; ++round) AllToAll(world, round);
    std::vector<int> reversed;
    for (int rank = world.size() - 1; rank >= 0; --rank) reversed.push_back(rank);
    const auto split = world.Split(reversed, "reversed");
    EXPECT_EQ(split->rank(), world.size() - 1 - world.rank());
    AllToAll(*split, 3);
  });
}

TEST_F(GpuComm, HostMemoryTakesTheOtherWay) {
  SpawnGpuRanks(size(), [](Communicator& world) {
    int64_t word = world.rank() == 0 ? 4711 : 0;
    Broadcast(world, 0, std::as_writable_bytes(std::span(&word, 1)), nullptr);
    EXPECT_EQ(word, 4711);
    Barrier(world, nullptr);
  });
}

// Several exchanges may be open, and are finished in any order.
TEST_F(GpuComm, OpenExchangesKeepApart) {
  SpawnGpuRanks(size(), [](Communicator& world) {
    const int next = (world.rank() + 1) % world.size();
    const int previous = (world.rank() + world.size() - 1) % world.size();
    const int64_t sent_before = world.sent_bytes();  // what connecting took
    std::vector<at::Tensor> sends, recvs;
    std::vector<Communicator::Ticket> tickets;
    for (int i = 0; i < 4; ++i) {
      sends.push_back(at::full({1000 + i}, world.rank() * 10 + i, at::kInt).to(at::kCUDA));
      recvs.push_back(at::zeros_like(sends.back()));
      const std::array send{SendPiece{.peer = next, .data = TensorBytes(sends.back())}};
      const std::array recv{RecvPiece{.peer = previous, .data = TensorBytes(recvs.back())}};
      tickets.push_back(world.Start(send, recv, StreamOf(sends.back())));
    }
    for (const int i : {2, 0, 3, 1}) {
      world.Finish(tickets[i]);
      EXPECT_TRUE(at::equal(recvs[i].cpu(), at::full({1000 + i}, previous * 10 + i, at::kInt)));
    }
    EXPECT_EQ(world.sent_bytes() - sent_before, (1000 + 1001 + 1002 + 1003) * 4);
  });
}

// A rank that never takes part ends the others' waiting within the limit, by name.
TEST_F(GpuComm, AnExchangeWithoutPeerEndsAtTheLimit) {
  SpawnGpuRanks(
      size(),
      [](Communicator& world) {
        if (world.rank() == 0) {  // waits on the host for a word that the others never send
          int64_t word = 0;
          const std::array recv{
              RecvPiece{.peer = 1, .data = std::as_writable_bytes(std::span(&word, 1))}};
          EXPECT_THROW(Exchange(world, {}, recv, nullptr), CommError);
          return;
        }
        const at::Tensor lost =
            at::zeros({1 << 20}, at::TensorOptions(at::kByte).device(at::kCUDA));
        const std::array recv{RecvPiece{.peer = 0, .data = TensorBytes(lost)}};
        Exchange(world, {}, recv, StreamOf(lost));
        WaitFor(lost.device());  // the watchdog frees it
        std::string reason;
        try {
          world.Start({}, {}, StreamOf(lost));
        } catch (const CommError& error) {
          reason = error.what();
        }
        EXPECT_NE(reason.find("world 0 (1048576 bytes)"), std::string::npos) << reason;
      },
      std::chrono::seconds(60), std::chrono::seconds(4));
}

// Attention on a mesh against one GPU alone: the same operands, uneven rows and heads.
class GpuSequence : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { ComputeOnOneThread(); }
};

TEST_P(GpuSequence, ShardedEqualsWhole) {
  if (RanksForTests() < 2) GTEST_SKIP() << "needs two ranks";
  const int64_t text = 57, video = 1004, heads = 5, dim = 64;
  const at::ScalarType dtype = GetParam();
  const auto make = [&](uint64_t seed) {
    return SeededNormal({2, text + video, heads, dim}, seed).to(dtype);
  };
  const std::array operands = {make(1), make(2), make(3)};
  const auto heads_first = [](const at::Tensor& x) { return x.transpose(1, 2); };
  const at::Tensor plain = heads_first(
      AttendPlainly(heads_first(operands[0]), heads_first(operands[1]), heads_first(operands[2]))
          .out);
  const double largest = operands[2].abs().max().item<double>();
  // As in ops_test: weights and result rounded; the merge of two parts rounds each part once more.
  const double roundoff = dtype == at::kHalf ? 0x1p-11 : dtype == at::kFloat ? 0x1p-22 : 0x1p-8;
  for (const Mesh& mesh : {Mesh{1, 1, 2}, Mesh{1, 2, 1}}) {
    SpawnGpuRanks(2, [&](Communicator& world) {
      const MeshLinks links = MakeMeshLinks(world, mesh);
      const Geometry geometry(mesh, world.rank(), {.text_count = text, .video = {1, 1, video}});
      const HeadExchange exchange(geometry, *links.ulysses, heads);
      const Ring ring(geometry, *links.ring);
      const Range rows = geometry.rows();
      const auto mine = [&](int i) {
        return operands[i].narrow(1, rows.begin, rows.size()).to(at::kCUDA);
      };
      const auto attend = [&] {
        return exchange.ToRows(
            ring.Attend(exchange.ToHeads({.q = mine(0), .k = mine(1), .v = mine(2)})));
      };
      const at::Tensor out = attend();
      EXPECT_LE(LargestDifference(out.cpu(), plain.narrow(1, rows.begin, rows.size())),
                3 * roundoff * largest + 0x1p-16)
          << mesh.ToString() << " rank " << world.rank();
      EXPECT_TRUE(at::equal(out, attend()));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, GpuSequence, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& info) { return at::toString(info.param); });

}  // namespace
}  // namespace cogwheel
