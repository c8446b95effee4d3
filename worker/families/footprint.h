#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <memory>

#include "worker/sequence/mesh.h"

// What jobs take of a rank's memory, by arithmetic: before anything is allocated, and without a
// model's weights.
namespace cogwheel {

// A clip's size in pixels.
struct ClipSize {
  int frames = 0, height = 0, width = 0;
  friend auto operator<=>(const ClipSize&, const ClipSize&) = default;
};

// A job, as far as memory goes.
struct JobShape {
  ClipSize size;
  int64_t text_tokens = 0;
  bool guided = false;
  bool decoded = true;  // its result is pixels, not latents
  bool tiled = false;
  int64_t picture_bytes = 0;  // of the first frame's picture as it came, on world rank 0
  bool has_picture = false;
  friend auto operator<=>(const JobShape&, const JobShape&) = default;
};

// Bytes that a job holds at most in each stage on one rank, weights apart.
struct JobFootprint {
  int64_t text = 0;     // encoding the prompts on world rank 0; everywhere the embeddings
  int64_t picture = 0;  // encoding the first frame on world rank 0; everywhere its latents
  int64_t denoise = 0;
  int64_t decode = 0;
  // Messages between CPU ranks, beside a stage's tensors; not of ATen's allocator.
  int64_t exchange = 0;
  friend bool operator==(const JobFootprint&, const JobFootprint&) = default;
  int64_t peak() const { return std::max({text, picture, denoise, decode}) + exchange; }
};

// Where a job runs.
struct RankPlace {
  Mesh mesh;  // the group's
  int world_rank = 0;
  bool wavefront_on_gpus = false;  // or a GPU of world rank 0 decodes alone
};

// One model in one dtype on one kind of device. Pure; any thread.
class Footprints {
 public:
  virtual ~Footprints() = default;

  // An upper bound, held against what is really allocated (tests/worker/pipeline/memory_test.cc).
  // Throws std::invalid_argument for a size that the model refuses.
  virtual JobFootprint Bound(const JobShape& shape, const RankPlace& place) const = 0;
  // Of what a rank in this place loads, as it lies in memory.
  virtual int64_t WeightBytes(int world_rank) const = 0;
  // Legal clips have frames_multiple · k + 1 frames.
  virtual int frames_multiple() const = 0;
  // The model computes one size alone.
  virtual bool fixed_size() const = 0;
};

}  // namespace cogwheel
