// The decode wavefront where no exchange may wait for one that comes later.
#include "worker/sequence/wavefront.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/rendezvous_communicator.h"
#include "tests/support/serial_decode.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/spawn_tensor_ranks.h"
#include "tests/worker/pipeline/pipeline_runner.h"
#include "worker/pipeline/decode.h"

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kLimit{10'000};

// A few causal convolutions in time, of weights 1, 1/2 and 1, as carries see a VAE's.
class SmallCodec final : public Codec {
 public:
  int64_t pixels_per_latent() const override { return 8; }
  std::vector<int64_t> DecodeChunks(int64_t latent_frames) const override {
    std::vector<int64_t> chunks(std::max<int64_t>(latent_frames / 2, 1), 2);
    chunks[0] = latent_frames - 2 * (static_cast<int64_t>(chunks.size()) - 1);
    return chunks;
  }
  int64_t PixelFrames(int64_t frames) const override {
    return frames % 2 == 1 ? 4 * (frames - 1) + 1 : 4 * frames;
  }
  at::Tensor Unscale(const at::Tensor& latents) const override {
    return latents.permute({0, 2, 1, 3, 4}).contiguous();
  }
  at::Tensor DecodeChunk(const at::Tensor& latents, ConvCarry& carry) const override {
    const int64_t frames = latents.size(2);
    at::Tensor x = latents;
    for (int conv = 0; conv < 5; ++conv) {
      const at::Tensor left = x.narrow(2, frames - 2, 2);
      const at::Tensor carried = carry.Swap(conv, left);
      const at::Tensor padded =
          at::cat({carried.defined() ? carried : x.narrow(2, 0, 1).repeat({1, 1, 2, 1, 1}), x}, 2);
      x = at::sin(padded.narrow(2, 0, frames) + 0.5 * padded.narrow(2, 1, frames) + x + conv);
    }
    const at::Tensor pixels =
        x.repeat_interleave(4, 2).repeat_interleave(8, 3).repeat_interleave(8, 4);
    return pixels.narrow(2, 0, PixelFrames(frames));
  }
  double DecodeOperations(int64_t, int64_t, int64_t) const override { return 0; }
  TilePlan DecodePlan() const override { return {}; }
  bool TilesDecode(int64_t, int64_t) const override { return false; }
  at::Tensor EncodePicture(const Picture&, const ClipSize&, bool) const override { return {}; }
  at::Tensor SampleLatent(const at::Tensor&, const at::Tensor&) const override { return {}; }
};

// [1, F, 3, 1, 2]; every other clip has an odd number of frames.
at::Tensor Latents(int chunks) {
  const int64_t frames = 2 * chunks + chunks % 2;
  return at::arange(frames * 6, at::kFloat).view({1, frames, 3, 1, 2}) / 7;
}

// Rank 0's frames of a job; the carries go by rendezvous.
std::vector<uint8_t> DecodeByRendezvous(int size, int chunks, const StepCommandSource& command) {
  const SmallCodec codec;
  const auto board = std::make_shared<RendezvousBoard>(kLimit);
  std::vector<uint8_t> decoded;
  SpawnTensorRanks(size, [&](Communicator& world, ProgramJournal& journal) {
    std::vector<int> all(size);
    for (int rank = 0; rank < size; ++rank) all[rank] = rank;
    RendezvousCommunicator carries(world.Split(all, "carries"), "carries", board);
    RecordingSink sink;
    std::atomic<int64_t> work{0};
    StepAgreement agreement(world, journal, JobSpec{}, /*plan_hash=*/1, command);
    try {
      DecodeFrames({.codec = codec,
                    .carries = carries,
                    .frames = world,
                    .agreement = agreement,
                    .sink = sink,
                    .work_counter = work},
                   Latents(chunks));
      agreement.Close();
    } catch (const JobCancelled&) {
    }
    if (world.rank() == 0) decoded = std::move(sink.frames);
  });
  return decoded;
}

std::vector<uint8_t> Serial(int chunks) {
  const SmallCodec codec;
  const at::Tensor bytes = ToBytes(DecodeSerially(codec, codec.Unscale(Latents(chunks))));
  return {bytes.const_data_ptr<uint8_t>(), bytes.const_data_ptr<uint8_t>() + bytes.numel()};
}

TEST(ConvHandoverTest, NoExchangeWaitsForALaterOne) {
  for (int chunks = 1; chunks <= 10; ++chunks) {
    const std::vector<uint8_t> expected = Serial(chunks);
    for (int size = 1; size <= 8; ++size) {
      SCOPED_TRACE(std::to_string(chunks) + " chunks on " + std::to_string(size) + " ranks");
      EXPECT_TRUE(DecodeByRendezvous(size, chunks, nullptr) == expected);
    }
  }
}

// What was sent has a taker, and who waits gets something, wherever the job ends.
TEST(ConvHandoverTest, ACancelLeavesNoExchangeOpen) {
  for (const int size : {1, 2, 3, 4}) {
    for (int cancel_at = 0; cancel_at < 5; ++cancel_at) {
      SCOPED_TRACE(std::to_string(size) + " ranks, question " + std::to_string(cancel_at));
      std::atomic<int> asked{0};
      const auto frames = DecodeByRendezvous(
          size, 9, [&] { return asked++ == cancel_at ? StepCommand::kCancel : StepCommand::kRun; });
      EXPECT_EQ(frames == Serial(9), asked <= cancel_at);
    }
  }
}

// The fake sees the fault that the order of exchanges avoids: a circle of sends, each taken by what
// its receiver starts after its own.
TEST(RendezvousCommunicatorTest, ACircleOfSendsLocksUp) {
  const auto board = std::make_shared<RendezvousBoard>(std::chrono::milliseconds(300));
  EXPECT_THROW(SpawnRanks(3,
                          [&](Communicator& world) {
                            const std::vector<int> all = {0, 1, 2};
                            RendezvousCommunicator comm(world.Split(all, "x"), "x", board);
                            std::array<std::byte, 4> out{}, in{};
                            const SendPiece send{.peer = (world.rank() + 1) % 3, .data = out};
                            const RecvPiece recv{.peer = (world.rank() + 2) % 3, .data = in};
                            Exchange(comm, {&send, 1}, {}, nullptr);
                            Exchange(comm, {}, {&recv, 1}, nullptr);
                          }),
               CommError);
}

}  // namespace
}  // namespace cogwheel
