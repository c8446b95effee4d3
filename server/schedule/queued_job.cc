#include "server/schedule/queued_job.h"

#include <algorithm>

#include "server/job/proto_time.h"
#include "server/job/result_size.h"

namespace cogwheel {

QueuedJob ToQueuedJob(const Job& job, const CostModel& costs, const Clock& clock) {
  QueuedJob queued;
  queued.name = job.name;
  queued.model = job.request.model();
  queued.model_digest = job.model_digest;
  queued.tenant = job.tenant;
  queued.epoch = job.epoch;
  queued.attempt = job.attempt;
  queued.priority = job.request.priority();
  queued.size = SizeOf(job.request);
  queued.bytes = QueuedBytes(job);
  queued.result_bytes = MostResultBytes(job.request);
  queued.seconds = costs.Seconds(queued.model, queued.size).value_or(0);
  // The wall clock, which may jump, counts only for the time in which no process lived.
  const auto age = std::max(clock.Wall() - job.create_time, Job::WallTime::duration(0));
  queued.arrival = clock.Now() - age;
  if (job.request.has_deadline()) {
    const auto deadline = ToNanoseconds(job.request.deadline());
    queued.deadline = queued.arrival + deadline;
    queued.deadline_seconds = std::chrono::duration<double>(deadline).count();
  }
  return queued;
}

}  // namespace cogwheel
