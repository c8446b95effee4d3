#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// How much work a job is.
struct JobSize {
  double tokens = 0;      // of the joint sequence: text and latents
  double step_units = 0;  // tokens · steps · guidance branches
};

// Of a resolved request.
JobSize SizeOf(const v1::GenerateRequest& request);

// How long a job should hold a group: a · step_units for the denoising and b · tokens for
// everything else, a and b learnt for each group from the jobs that it finished. Attention grows
// faster than tokens, so sizes far from those seen are misjudged until one has run. Thread-safe.
class CostModel {
 public:
  // `seconds` from the job's start to its end.
  void Learn(const std::string& model, const std::string& group, const JobSize& size,
             double seconds, double denoise_seconds) COGWHEEL_EXCLUDES(mutex_);
  // On this group; nullopt before its first job.
  std::optional<double> Seconds(const std::string& model, const std::string& group,
                                const JobSize& size) const COGWHEEL_EXCLUDES(mutex_);
  // On the fastest group of the model; nullopt before the model's first job.
  std::optional<double> Seconds(const std::string& model, const JobSize& size) const
      COGWHEEL_EXCLUDES(mutex_);
  // What follows the denoising; 0 before the group's first job.
  double SecondsAfterSteps(const std::string& model, const std::string& group,
                           const JobSize& size) const COGWHEEL_EXCLUDES(mutex_);

 private:
  struct Rates {
    double step = 0;  // a
    double rest = 0;  // b
    double Of(const JobSize& size) const { return step * size.step_units + rest * size.tokens; }
  };
  using Key = std::pair<std::string, std::string>;  // model, group

  mutable Mutex mutex_;
  std::map<Key, Rates> rates_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
