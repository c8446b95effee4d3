#pragma once

#include <map>
#include <optional>
#include <string>

#include "server/dispatch/worker_group.h"

namespace cogwheel {

// How long jobs of each model take, learnt from those that ended: for "time left" and "expected
// start". Sizes of jobs are taken to be alike. Owned by the dispatcher's thread.
class ModelPace {
 public:
  void Learn(const std::string& model, double job_seconds, const StageSeconds& stages);
  // Moving average; nullopt before the first job.
  std::optional<double> JobSeconds(const std::string& model) const;
  // Of the whole job; nullopt before the first denoising step.
  std::optional<double> SecondsLeft(const std::string& model, const RunProgress& progress,
                                    double seconds_in_stage) const;

 private:
  struct Pace {
    double job_seconds = 0;
    double decode_seconds = 0;
  };
  std::map<std::string, Pace> paces_;
};

}  // namespace cogwheel
