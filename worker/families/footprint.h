#pragma once

#include <algorithm>
#include <cstdint>

namespace cogwheel {

// Bytes of the tensors that a job holds at most in each stage on one rank, weights apart: a plan,
// counted from shapes before anything is allocated. What the prompt encoder and the decode hold
// inside is not counted: no formula for them is held against what they allocate yet.
struct JobFootprint {
  int64_t text = 0;     // the embeddings of all branches, and this rank's copy of its own rows
  int64_t denoise = 0;  // one prediction's activations and the loop's tensors
  int64_t peak() const { return std::max(text, denoise); }
};

}  // namespace cogwheel
