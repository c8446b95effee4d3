#pragma once

#include <cstdint>

// The only place where an extent is split. Pure.
namespace cogwheel {

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool empty() const { return end == begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

// Flat cut of a sequence: part `part_idx` of `part_count` owns [floor(i*S/P), floor((i+1)*S/P)).
// Parts may be empty.
Range SplitSequence(int64_t length, int part_count, int part_idx);

// Heads: the first length % part_count parts take one more (30 heads on 4 ranks: 8, 8, 7, 7). Parts
// may be empty.
Range SplitHeads(int64_t head_count, int part_count, int part_idx);

// Rows common to both; empty (begin == end) where they do not meet.
Range Intersect(Range a, Range b);

// A shard of the joint sequence, text first: its text rows, then its video rows, in their own
// numbering.
struct JointShard {
  Range rows;   // of the joint sequence
  Range text;   // of the text rows
  Range video;  // of the video rows
};
JointShard SplitJoint(int64_t text_count, int64_t video_count, int part_count, int part_idx);

// Exact quotient; throws when there is a remainder.
int64_t DivExact(int64_t dividend, int64_t divisor);
int64_t DivCeil(int64_t dividend, int64_t divisor);

}  // namespace cogwheel
