#pragma once

#include <ostream>
#include <set>
#include <string>

#include <absl/status/status.h>

#include "base/mutex.h"
#include "client/command_result.h"
#include "client/output_writer.h"
#include "client/progress_bar.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// Takes a job's events: shows them and its warnings, keeps pieces of the result, remembers how it
// ended. Handle belongs to one thread; job() may be asked by another.
class JobFollower {
 public:
  // With `json` every event becomes a line there, else the bar shows it.
  struct Json {
    std::ostream* out = nullptr;
    bool previews = false;  // with their bytes
  };
  // `writer` may be null: then pieces of the result are not kept.
  JobFollower(Json json, ProgressBar& bar, OutputWriter* writer);

  // The job, as the server accepted it: what is known to be amiss is shown now, as it may be long
  // until it runs.
  void Begin(const v1::Job& job);
  absl::Status Handle(const v1::JobEvent& event);

  std::string job() const COGWHEEL_EXCLUDES(mutex_);  // "" before Begin and the first event
  // After the terminal event.
  v1::JobState state() const { return state_; }
  const v1::Succeeded& succeeded() const { return succeeded_; }
  // Exit code and, unless it succeeded, one line that tells why.
  CommandResult Result() const;

 private:
  // Shows the warnings that it has not shown yet.
  void Warn(const google::protobuf::RepeatedPtrField<std::string>& warnings);
  absl::Status BeginAttempt(int32_t attempt);
  absl::Status Keep(const v1::JobEvent& event);
  void Remember(const v1::JobEvent& event);

  absl::Status Print(const v1::JobEvent& event);

  const Json json_;
  ProgressBar& bar_;
  OutputWriter* const writer_;
  std::set<std::string> warned_;
  v1::JobState state_ = v1::JOB_STATE_UNSPECIFIED;
  int32_t written_attempt_ = 0;
  v1::Succeeded succeeded_;
  v1::JobError error_;
  mutable Mutex mutex_;
  std::string job_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
