#pragma once

#include <ATen/core/Tensor.h>

namespace cogwheel {

// What attention takes: [B, S, N, D], the last stride 1.
struct Heads {
  at::Tensor q, k, v;
  at::Tensor kv;  // [2, B, S, N, D]: k and v where they lie in one buffer, else undefined
};

}  // namespace cogwheel
