#include "worker/pipeline/decode_cost.h"

#include <algorithm>

namespace cogwheel {
namespace {

// What an operation of a convolution takes, with all that goes on between convolutions, measured in
// operations of a step (tests/README.md).
constexpr double kOnCores = 2.5, kOnGpus = 1.5;

// Cores that each of so many busy ranks has.
double Speed(const DecodeCost& cost, int busy_ranks) {
  if (cost.cores <= 0) return 1;
  const double share = static_cast<double>(cost.cores) / std::min(busy_ranks, cost.host_ranks);
  return std::min<double>(cost.rank_threads, share);
}

}  // namespace

double DecodeInSteps(const DecodeCost& cost) {
  if (cost.step <= 0) return 0;
  const int count = static_cast<int>(cost.parts.size());
  double operations = 0;  // at the speed of a rank when it is alone at work
  for (int first = 0; first < count; first += cost.takers) {
    const int end = std::min(first + cost.takers, count);
    const double most = *std::max_element(cost.parts.begin() + first, cost.parts.begin() + end);
    operations += most / Speed(cost, end - first);
  }
  const double step = cost.step / Speed(cost, cost.host_ranks);
  return (cost.cores > 0 ? kOnCores : kOnGpus) * operations / step;
}

}  // namespace cogwheel
