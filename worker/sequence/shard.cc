#include "worker/sequence/shard.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace cogwheel {

Range SplitSequence(int64_t length, int part_count, int part_idx) {
  return {.begin = part_idx * length / part_count, .end = (part_idx + 1) * length / part_count};
}

Range SplitHeads(int64_t head_count, int part_count, int part_idx) {
  const int64_t base = head_count / part_count;
  const int64_t extra = head_count % part_count;
  const int64_t begin = part_idx * base + std::min<int64_t>(part_idx, extra);
  return {.begin = begin, .end = begin + base + (part_idx < extra ? 1 : 0)};
}

Range Intersect(Range a, Range b) {
  const int64_t begin = std::max(a.begin, b.begin);
  return {.begin = begin, .end = std::max(begin, std::min(a.end, b.end))};
}

JointShard SplitJoint(int64_t text_count, int64_t video_count, int part_count, int part_idx) {
  const Range rows = SplitSequence(text_count + video_count, part_count, part_idx);
  const Range text = {.begin = std::min(rows.begin, text_count),
                      .end = std::min(rows.end, text_count)};
  const Range video = {.begin = std::max(rows.begin, text_count) - text_count,
                       .end = std::max(rows.end, text_count) - text_count};
  return {.rows = rows, .text = text, .video = video};
}

int64_t DivExact(int64_t dividend, int64_t divisor) {
  if (divisor == 0 || dividend % divisor != 0) {
    throw std::invalid_argument(std::to_string(dividend) + " is not a multiple of " +
                                std::to_string(divisor));
  }
  return dividend / divisor;
}

int64_t DivCeil(int64_t dividend, int64_t divisor) { return (dividend + divisor - 1) / divisor; }

}  // namespace cogwheel
