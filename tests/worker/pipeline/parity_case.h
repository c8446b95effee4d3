#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "worker/pipeline/pipeline.h"

// The recorded runs of the reference in tests/golden/cases, and how far a run of ours is from one.
namespace cogwheel {

struct ParityCase {
  std::string name;
  Mesh mesh;
  friend void PrintTo(const ParityCase& c, std::ostream* out) {
    *out << c.name << " on " << c.mesh.ToString();
  }
};

nlohmann::json ReadCase(const std::string& name);
// Every case on every mesh it names, in order of name and mesh.
std::vector<ParityCase> AllCases();
JobSpec ToSpec(const nlohmann::json& request);

// Largest difference, by the expected values' standard deviation.
double LatentDifference(const std::vector<float>& mine, const float* expected);
// Root of the mean square of the difference, likewise.
double LatentRms(const std::vector<float>& mine, const float* expected);

struct FrameDifference {
  double within_one = 0;  // share of all values
  int largest = 0;
};
FrameDifference CompareFrames(const std::vector<uint8_t>& mine, const uint8_t* expected);

}  // namespace cogwheel
