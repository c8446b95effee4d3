#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "worker/pipeline/frame_sink.h"
#include "worker/pipeline/pipeline.h"
#include "worker/rank/job_mailbox.h"

// What the rank thread needs from the outside world. Implemented by worker/rpc, and by fakes.
namespace cogwheel {

// The finished file of a job.
struct OutputSummary {
  int64_t size_bytes = 0;
  std::string sha256;  // lower-case hex
  std::string media_type;
  double encode_seconds = 0;
};

// Where a job's results go on world rank 0. FrameSink's methods are the rank thread's.
class JobOutput : public FrameSink {
 public:
  // Thread-safe. Not OK once the output cannot be delivered (encoder, or a frontend that does not
  // read): the job is then ended at the next step.
  virtual absl::Status status() const = 0;
  // Waits, within the bound of each hand-over, until everything has been encoded and sent.
  virtual absl::StatusOr<OutputSummary> Finish() = 0;
};

struct JobReport {
  int64_t epoch = 0;
  int64_t job_sequence = 0;
  absl::Status status;
  OutputSummary output;  // world rank 0 of a job that is done
  PipelineSeconds seconds;
  bool epoch_over = false;  // it failed or stopped among its collectives: the group is lost
};

class FrontendLink {
 public:
  virtual ~FrontendLink() = default;

  // The checksum is of the weights that every rank reads; 0: none were read.
  virtual void SendFormed(int64_t epoch, uint32_t weights_crc32c) = 0;
  // OK: ready to start, with planned_bytes; else why this rank cannot run the job.
  virtual void SendAnswer(const RunOrder& order, const absl::Status& status,
                          int64_t planned_bytes) = 0;
  virtual void SendDone(const JobReport& report) = 0;

  // Fills order.spec's image from its bytes. INVALID_ARGUMENT for bytes that are no picture.
  virtual absl::Status DecodeImage(RunOrder& order) = 0;
  virtual std::unique_ptr<JobOutput> OpenOutput(const JobSpec& spec) = 0;

  // True once the frontend asked to cancel this job.
  virtual bool CancelRequested(int64_t job_sequence) const = 0;
  // True once this job is to be handed back: the frontend asked for it, or is gone itself.
  virtual bool StopRequested(int64_t job_sequence) const = 0;
  // What heartbeats show from now on. A model stays until another one, or none, is shown.
  virtual void ShowJob(int64_t job_sequence, const Pipeline* pipeline) = 0;
  // Waits until what was sent before has left, at most a few seconds. Before an exit.
  virtual void Flush() = 0;
};

}  // namespace cogwheel
