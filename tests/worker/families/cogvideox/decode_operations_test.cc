#include "worker/families/cogvideox/decode_operations.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

// The full decoder's 49 frames of 480x720. Measured runs count 315: with the convolutions of the
// spatial norms, and those at full size.
TEST(DecodeOperationsTest, IsWhatAFullSizeTakes) {
  const VaeConfig config;
  double sum = DecodeOperations(config, {.frames = 3, .height = 60, .width = 90});
  for (int i = 0; i < 5; ++i) {
    sum += DecodeOperations(config, {.frames = 2, .height = 60, .width = 90});
  }
  EXPECT_NEAR(sum / 1e12, 315, 6);
}

// Added up by hand: one latent pixel of 1 channel through blocks of 1 or 2 channels.
TEST(DecodeOperationsTest, AddsUpEachConvolution) {
  VaeConfig config;
  config.latent_channels = 1;
  config.out_channels = 1;
  config.block_out_channels = {1, 1, 1, 2};
  config.layers_per_block = 0;
  const double in = 27 * 2;                            // 1 to 2 channels
  const double mid = 2 * 2 * 27 * 4;                   // two blocks of two, 2 to 2 channels
  const double first = 2 * 27 * 4;                     // a block at 1x1
  const double to_2x2 = 9 * 4 * 4;                     // 2 channels, 4 pixels
  const double second = (2 + 27 * 2 + 27) * 4;         // shortcut, 2 to 1, 1 to 1
  const double to_4x4 = 9 * 16, third = 2 * 27 * 16;   // 1 channel
  const double to_8x8 = 9 * 64, fourth = 2 * 27 * 64;  // time stays: one frame
  const double out = 27 * 64;
  EXPECT_EQ(2 * (in + mid + first + to_2x2 + second + to_4x4 + third + to_8x8 + fourth + out),
            DecodeOperations(config, {.frames = 1, .height = 1, .width = 1}));
}

TEST(DecodeOperationsTest, FramesDoubleTwiceButForASingleOne) {
  const VaeConfig config;
  const double one = DecodeOperations(config, {1, 8, 8}), two = DecodeOperations(config, {2, 8, 8});
  const double three = DecodeOperations(config, {3, 8, 8});
  EXPECT_GT(two, 3.5 * one) << "8 frames against 1, at full size";
  EXPECT_DOUBLE_EQ(three, one + two);
}

}  // namespace
}  // namespace cogwheel
