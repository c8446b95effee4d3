#include "worker/media/h264_level.h"

#include <cstddef>
#include <iterator>

namespace cogwheel {
namespace {

struct Level {
  int idc;
  int64_t macroblocks_a_second, macroblocks;  // of a frame
};

// Without 1b, 4.1 and those that differ in bit rate only.
constexpr Level kLevels[] = {
    {10, 1'485, 99},          {11, 3'000, 396},          {12, 6'000, 396},
    {13, 11'880, 396},        {21, 19'800, 792},         {22, 20'250, 1'620},
    {30, 40'500, 1'620},      {31, 108'000, 3'600},      {32, 216'000, 5'120},
    {40, 245'760, 8'192},     {42, 522'240, 8'704},      {50, 589'824, 22'080},
    {51, 983'040, 36'864},    {52, 2'073'600, 36'864},   {60, 4'177'920, 139'264},
    {61, 8'355'840, 139'264}, {62, 16'711'680, 139'264},
};

constexpr int kMacroblockSide = 16;
// Players go through a clip at twice its speed, and a constant quantiser does not bound the bits.
constexpr int kHeadroom = 2;

constexpr uint8_t kTypeMask = 0x1F, kSequenceParameterSet = 7;
constexpr size_t kLevelOffset = 3;  // behind the unit's head, profile and constraints

int64_t InMacroblocks(int pixels) { return (pixels + kMacroblockSide - 1) / kMacroblockSide; }

}  // namespace

int LevelFor(int width, int height, int fps) {
  const int64_t columns = InMacroblocks(width), rows = InMacroblocks(height);
  const int64_t macroblocks = columns * rows;
  for (const Level& level : kLevels) {
    const int64_t longest_squared = 8 * level.macroblocks;
    if (macroblocks <= level.macroblocks && columns * columns <= longest_squared &&
        rows * rows <= longest_squared &&
        macroblocks * fps * kHeadroom <= level.macroblocks_a_second) {
      return level.idc;
    }
  }
  return kLevels[std::size(kLevels) - 1].idc;
}

void SetLevel(std::span<uint8_t> stream, int level_idc) {
  for (size_t at = 0; at + 3 + kLevelOffset < stream.size(); ++at) {
    const bool unit = stream[at] == 0 && stream[at + 1] == 0 && stream[at + 2] == 1;
    if (!unit || (stream[at + 3] & kTypeMask) != kSequenceParameterSet) continue;
    stream[at + 3 + kLevelOffset] = static_cast<uint8_t>(level_idc);
  }
}

}  // namespace cogwheel
