#pragma once

#include <vector>

// What a decode should take, told in denoising steps of the same job: an estimate for the time
// before any job has run. Pure.
namespace cogwheel {

struct DecodeCost {
  std::vector<double> parts;  // operations of each chunk or tile, in their order
  int takers = 1;             // ranks that share them: one part each in every round
  double step = 0;            // operations of a step on one rank
  // Of a host; 0 cores: ranks do not share what they compute on (GPUs).
  int cores = 0, host_ranks = 1, rank_threads = 1;
};

// 0 where a step is nothing.
double DecodeInSteps(const DecodeCost& cost);

}  // namespace cogwheel
