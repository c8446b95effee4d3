#include "worker/sequence/ring.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/fault_communicator.h"
#include "tests/support/spawn_tensor_ranks.h"
#include "worker/sequence/exchange.h"
#include "worker/sequence/links.h"

namespace cogwheel {
namespace {

// Passes everything on and keeps who was spoken to, in order.
class RecordingCommunicator final : public Communicator {
 public:
  explicit RecordingCommunicator(Communicator& inner) : inner_(inner) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  Ticket Start(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
               StreamHandle stream) override {
    for (const SendPiece& piece : sends) {
      calls.push_back("send " + std::to_string(piece.data.size()) + " to " +
                      std::to_string(piece.peer));
    }
    for (const RecvPiece& piece : recvs) {
      calls.push_back("receive " + std::to_string(piece.data.size()) + " from " +
                      std::to_string(piece.peer));
    }
    return inner_.Start(sends, recvs, stream);
  }
  void Finish(Ticket ticket) override {
    calls.push_back("finish");
    inner_.Finish(ticket);
  }
  bool Done(Ticket ticket) override { return inner_.Done(ticket); }
  std::unique_ptr<Communicator> Split(std::span<const int> members,
                                      const std::string& name) override {
    return inner_.Split(members, name);
  }
  void EnterWork(int64_t number) override { inner_.EnterWork(number); }
  void Abandon(const std::string& why) override { inner_.Abandon(why); }
  void Abort(const std::string& reason) override { inner_.Abort(reason); }
  int64_t sent_bytes() const override { return inner_.sent_bytes(); }

  std::vector<std::string> calls;

 private:
  Communicator& inner_;
};

// 10 rows in blocks of 2, 3, 2, 3; K and V of a row, 2 heads of 4 numbers, are 64 bytes. Rank 1
// sends its own block, then those of ranks 0 and 3, always to rank 2, and never gathers.
TEST(RingTest, BlocksTravelFromRankToRank) {
  std::vector<std::string> calls;
  SpawnTensorRanks(4, [&](Communicator& world) {
    RecordingCommunicator recording(world);
    const Geometry geometry({.ring = 4}, world.rank(), {.text_count = 3, .video = {1, 1, 7}});
    const at::Tensor x = at::ones({1, geometry.rows().size(), 2, 4});
    Ring(geometry, recording).Attend({.q = x, .k = x, .v = x});
    if (world.rank() == 1) calls = recording.calls;
  });
  EXPECT_EQ(calls, (std::vector<std::string>{"send 192 to 2", "receive 128 from 0", "finish",     //
                                             "send 128 to 2", "receive 192 from 0", "finish",     //
                                             "send 192 to 2", "receive 128 from 0", "finish"}));  //
}

// The mean of the values when all logits are equal, each block weighted by its rows.
TEST(RingTest, BlocksCountByTheirRows) {
  SpawnTensorRanks(3, [&](Communicator& world) {
    const Geometry geometry({.ring = 3}, world.rank(), {.text_count = 1, .video = {1, 1, 9}});
    const Range rows = geometry.rows();
    const at::Tensor k = at::zeros({1, rows.size(), 1, 4});
    const at::Tensor v = at::arange(rows.begin, rows.end, at::kFloat)
                             .reshape({1, rows.size(), 1, 1})
                             .repeat({1, 1, 1, 4});
    const at::Tensor out = Ring(geometry, world).Attend({.q = at::ones_like(k), .k = k, .v = v});
    // 0 + 1 + ... + 9 over 10, to a few roundings in fp32.
    EXPECT_LT((out - 4.5).abs().max().item<float>(), 1e-5);
  });
}

// A rank that fails between two exchanges of one attention takes the others out of their waits.
TEST(RingTest, AFailingRankEndsTheAttentionOfAll) {
  const Mesh mesh = {.cfg = 1, .ring = 2, .ulysses = 2};
  for (const int at_start : {0, 1, 2}) {
    std::atomic<int> failed = 0;
    const auto run = [&] {
      SpawnTensorRanks(mesh.size(), [&](Communicator& world) {
        FaultCommunicator faulty(
            world, {.kind = Fault::Kind::kFail, .at_start = world.rank() == 3 ? at_start : -1});
        const MeshLinks links = MakeMeshLinks(faulty, mesh);
        const Geometry geometry(mesh, world.rank(), {.text_count = 5, .video = {1, 1, 12}});
        const HeadExchange exchange(geometry, *links.ulysses, 3);
        const Ring ring(geometry, *links.ring);
        const at::Tensor x = at::ones({1, geometry.rows().size(), 3, 8});
        try {
          // More than once: another rank may have all it needs for the first.
          for (int layer = 0; layer < 3; ++layer) {
            exchange.ToRows(ring.Attend(exchange.ToHeads({.q = x, .k = x, .v = x})));
          }
        } catch (const CommError&) {
          ++failed;
          throw;
        }
      });
    };
    EXPECT_THROW(run(), CommError);
    EXPECT_EQ(failed, mesh.size());
  }
}

}  // namespace
}  // namespace cogwheel
