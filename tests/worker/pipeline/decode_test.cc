#include "worker/pipeline/decode.h"
#include "worker/families/cogvideox/components.h"

#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/journaled_ranks.h"
#include "tests/support/serial_decode.h"
#include "tests/worker/pipeline/pipeline_runner.h"
#include "worker/families/cogvideox/vae.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

// A VAE whose weights are the golden ones.
struct GoldenVae {
  explicit GoldenVae(const std::string& checkpoint) {
    at::set_num_threads(1);
    TemporaryFolder folder;
    BuildCheckpoint(checkpoint, folder.path());
    vae = Vae::Load(ReadCheckpointConfigs(folder.path()).vae,
                    WeightFiles(ComponentOf(folder.path(), "vae")), at::kCPU, at::kFloat,
                    /*with_encoder=*/false);
  }
  std::unique_ptr<Vae> vae;
};

struct DecodeRun {
  RecordingSink sink;
  std::vector<bool> cancelled;
  int64_t sent_bytes = 0;
  std::vector<int64_t> chunks_run;  // by rank
};

// Decodes the same latents on `size` ranks, as often as there are command sources.
std::vector<DecodeRun> DecodeOn(int size, const Codec& codec, const at::Tensor& latents,
                                const std::vector<StepCommandSource>& commands,
                                bool tiling = false) {
  const auto ranks = MakeJournaledWorld(size, std::chrono::seconds(60));
  std::vector<DecodeRun> runs(commands.size());
  for (DecodeRun& run : runs) {
    run.cancelled.resize(size);
    run.chunks_run.resize(size);
  }
  std::mutex mutex;
  const auto rank_main = [&](int rank) {
    at::set_num_threads(1);
    std::vector<int> all(size);
    for (int i = 0; i < size; ++i) all[i] = i;
    Communicator& world = *ranks[rank].world.communicator;
    const auto carries = world.Split(all, "carries");
    const auto frames = world.Split(all, "frames");
    for (size_t i = 0; i < commands.size(); ++i) {
      RecordingSink sink;
      std::atomic<int64_t> work{0};
      StepAgreement agreement(world, *ranks[rank].world.journal, JobSpec{}, /*plan_hash=*/1,
                              commands[i]);
      bool cancelled = false;
      try {
        DecodeFrames({.codec = codec,
                      .carries = *carries,
                      .frames = *frames,
                      .agreement = agreement,
                      .sink = sink,
                      .work_counter = work,
                      .tiling = tiling},
                     latents);
        agreement.Close();
      } catch (const JobCancelled&) {
        cancelled = true;
      }
      const std::lock_guard lock(mutex);
      runs[i].cancelled[rank] = cancelled;
      runs[i].chunks_run[rank] = work;
      runs[i].sent_bytes = std::max(runs[i].sent_bytes, world.sent_bytes());
      if (rank == 0) runs[i].sink = std::move(sink);
    }
  };
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) threads.emplace_back(rank_main, rank);
  for (std::thread& thread : threads) thread.join();
  return runs;
}

at::Tensor RandomLatents(int64_t frames, int64_t height, int64_t width) {
  at::manual_seed(frames);
  return at::randn({1, frames, 16, height, width}, at::kFloat);
}

at::Tensor SomeLatents(int64_t frames) { return RandomLatents(frames, 4, 6); }

std::vector<uint8_t> SerialFrames(const Codec& codec, const at::Tensor& latents) {
  const at::Tensor bytes = ToBytes(DecodeSerially(codec, codec.Unscale(latents)));
  return {bytes.const_data_ptr<uint8_t>(), bytes.const_data_ptr<uint8_t>() + bytes.numel()};
}

// The wavefront is the serial decode to the byte, for every number of ranks and chunks: fewer
// chunks than ranks, as many, more, and a last round that is not full.
TEST(DecodeTest, WavefrontEqualsSerial) {
  const GoldenVae golden("t2v-rope");
  for (const int64_t frames : {1, 2, 3, 5, 6, 9}) {
    const at::Tensor latents = SomeLatents(frames);
    const std::vector<uint8_t> expected = SerialFrames(*golden.vae, latents);
    for (const int size : {1, 2, 3, 4}) {
      SCOPED_TRACE(std::to_string(frames) + " frames on " + std::to_string(size) + " ranks");
      const DecodeRun run = DecodeOn(size, *golden.vae, latents, {nullptr})[0];
      EXPECT_TRUE(run.sink.frames == expected);
      const size_t chunk_count = golden.vae->DecodeChunks(frames).size();
      EXPECT_EQ(run.sink.frame_batches.size(), chunk_count);
      EXPECT_EQ(run.sink.progress.size(), chunk_count + 1);
      EXPECT_EQ(run.sent_bytes > 0, size > 1);
    }
  }
}

// A cancel is seen within two rounds and leaves no carry behind: the same communicators then decode
// another job correctly.
TEST(DecodeTest, CancelLeavesNothingBehind) {
  const GoldenVae golden("t2v-rope");
  const at::Tensor latents = SomeLatents(13);  // 6 chunks
  const std::vector<uint8_t> expected = SerialFrames(*golden.vae, latents);
  for (const int size : {1, 2, 3}) {
    for (int cancel_at = 0; cancel_at < 3; ++cancel_at) {
      SCOPED_TRACE(std::to_string(size) + " ranks, cancelled at question " +
                   std::to_string(cancel_at));
      auto asked = std::make_shared<std::atomic<int>>(0);
      const StepCommandSource cancel = [asked, cancel_at] {
        return (*asked)++ == cancel_at ? StepCommand::kCancel : StepCommand::kRun;
      };
      const std::vector<DecodeRun> runs = DecodeOn(size, *golden.vae, latents, {cancel, nullptr});
      const int rounds = (6 + size - 1) / size;
      const bool seen = cancel_at < rounds;
      for (const bool cancelled : runs[0].cancelled) EXPECT_EQ(cancelled, seen);
      for (const int64_t chunks : runs[0].chunks_run) EXPECT_LE(chunks, seen ? cancel_at : rounds);
      EXPECT_TRUE(runs[1].sink.frames == expected);
    }
  }
}

// Clips larger than a tile both ways, whose tiles are fewer and more than the ranks.
TEST(DecodeTest, SharedOutTilesEqualTheSerialOnes) {
  const GoldenVae golden("t2v-rope");
  const TilePlan plan = golden.vae->DecodePlan();
  for (const int64_t width : {plan.width.tile_in + 1, 3 * plan.width.stride_in}) {
    const at::Tensor latents = RandomLatents(5, plan.height.tile_in + 2, width);
    const at::Tensor bytes =
        ToBytes(DecodeTilesSerially(*golden.vae, golden.vae->Unscale(latents)));
    for (const int size : {1, 2, 3, 4}) {
      SCOPED_TRACE(std::to_string(width) + " columns on " + std::to_string(size) + " ranks");
      const DecodeRun run = DecodeOn(size, *golden.vae, latents, {nullptr}, /*tiling=*/true)[0];
      ASSERT_EQ(run.sink.frames.size(), static_cast<size_t>(bytes.numel()));
      EXPECT_EQ(std::memcmp(run.sink.frames.data(), bytes.const_data_ptr(), bytes.numel()), 0);
      for (const int64_t chunks : run.chunks_run) EXPECT_GT(chunks, 0);  // all ranks work
    }
  }
}

// At question k of a tiled decode no rank runs another chunk.
TEST(DecodeTest, ACancelEndsATiledDecodeBetweenChunks) {
  const GoldenVae golden("t2v-rope");
  const TilePlan plan = golden.vae->DecodePlan();
  const at::Tensor latents = RandomLatents(5, plan.height.tile_in + 2, plan.width.tile_in + 1);
  for (const int size : {1, 2, 3}) {
    for (const int cancel_at : {0, 1, 2, 3}) {
      SCOPED_TRACE(std::to_string(size) + " ranks, question " + std::to_string(cancel_at));
      auto asked = std::make_shared<std::atomic<int>>(0);
      const StepCommandSource cancel = [asked, cancel_at] {
        return (*asked)++ == cancel_at ? StepCommand::kCancel : StepCommand::kRun;
      };
      const auto runs = DecodeOn(size, *golden.vae, latents, {cancel, nullptr}, /*tiling=*/true);
      for (const bool cancelled : runs[0].cancelled) EXPECT_TRUE(cancelled);
      for (const int64_t chunks : runs[0].chunks_run) EXPECT_LE(chunks, cancel_at);
      EXPECT_FALSE(runs[1].sink.frames.empty());  // the communicators are as good as new
    }
  }
}

TEST(DecodeTest, BytesAreRoundedHalfToEven) {
  // 255 * (0.5 y + 0.5) in fp32: below 0, exactly 127.5 and 128.5, above 255.
  at::Tensor pixels = at::zeros({1, 3, 1, 1, 4}, at::kFloat);
  pixels.select(4, 0).fill_(-2.0);
  pixels.select(4, 1).fill_(0.0);
  pixels.select(4, 2).fill_(0x1.0101p-7);
  pixels.select(4, 3).fill_(1.5);
  const at::Tensor bytes = ToBytes(pixels);
  EXPECT_EQ(bytes.sizes(), at::IntArrayRef({1, 1, 4, 3}));
  const int expected[] = {0, 128, 128, 255};
  for (int x = 0; x < 4; ++x) EXPECT_EQ(bytes[0][0][x][0].item<int>(), expected[x]) << x;
}

}  // namespace
}  // namespace cogwheel
