#include "server/events/job_announcer.h"

#include <algorithm>
#include <utility>

#include "server/events/job_event.h"
#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kLongestSilence{30};

}  // namespace

v1::JobEvent JobAnnouncer::NewEvent() const {
  v1::JobEvent event;
  *event.mutable_time() = ToTimestamp(clock_.Wall());
  return event;
}

void JobAnnouncer::Queue(const std::vector<QueueEntry>& entries) {
  const Time now = clock_.Now();
  std::map<std::string, Waiting> queued;
  for (const QueueEntry& entry : entries) {
    // Its group was lost: what the attempt had come to is no news any more.
    running_.erase(entry.name);
    Waiting waiting{entry.position, entry.waiting_for, now};
    const auto old = queued_.find(entry.name);
    if (old != queued_.end() && old->second.position == entry.position &&
        old->second.waiting_for == entry.waiting_for &&
        now - old->second.announced < kLongestSilence) {
      waiting = old->second;
    } else {
      v1::JobEvent event = NewEvent();
      event.mutable_queued()->set_position(entry.position);
      event.mutable_queued()->set_waiting_for(entry.waiting_for);
      if (entry.start_in.has_value()) {
        const auto wait = std::chrono::duration_cast<std::chrono::system_clock::duration>(
            std::chrono::duration<double>(std::max(*entry.start_in, 0.0)));
        *event.mutable_queued()->mutable_expected_start() = ToTimestamp(clock_.Wall() + wait);
      }
      events_.Append(entry.name, entry.attempt, std::move(event));
    }
    queued.emplace(entry.name, waiting);
  }
  queued_ = std::move(queued);
}

void JobAnnouncer::Started(const Job& job, const std::string& model_digest) {
  v1::JobEvent event = NewEvent();
  event.mutable_started()->set_group(job.group);
  event.mutable_started()->set_epoch(job.epoch);
  event.mutable_started()->set_model_digest(model_digest);
  for (const std::string& warning : job.warnings) event.mutable_started()->add_warnings(warning);
  running_[job.name] = {job.attempt, event, clock_.Now()};
  events_.Append(job.name, job.attempt, std::move(event));
}

void JobAnnouncer::Progress(const Job& job, const RunProgress& progress, const Pace& pace) {
  v1::JobEvent event = NewEvent();
  v1::Progress& out = *event.mutable_progress();
  out.set_stage(ToProto(progress.stage));
  out.set_step(progress.step);
  out.set_steps(progress.steps);
  out.set_fraction(pace.fraction);
  if (pace.seconds_left.has_value()) *out.mutable_time_left() = ToDuration(*pace.seconds_left);
  running_[job.name] = {job.attempt, event, clock_.Now()};
  events_.Append(job.name, job.attempt, std::move(event));
}

void JobAnnouncer::Preview(const Job& job, int step, int steps, std::string_view jpeg) {
  v1::JobEvent event = NewEvent();
  event.mutable_preview()->set_jpeg(std::string(jpeg));
  event.mutable_preview()->set_step(step);
  event.mutable_preview()->set_steps(steps);
  events_.Append(job.name, job.attempt, std::move(event));
}

void JobAnnouncer::Chunk(const Job& job, int64_t offset, int64_t bytes,
                         std::shared_ptr<const ResultReader> data) {
  v1::JobEvent event = NewEvent();
  event.mutable_chunk()->set_offset(offset);
  events_.AppendChunk(job.name, job.attempt, std::move(event), bytes, std::move(data));
}

void JobAnnouncer::Silence(const std::string& job) {
  running_.erase(job);
  queued_.erase(job);
}

int64_t JobAnnouncer::EndSequence(const std::string& job, int32_t attempt) {
  Silence(job);
  return events_.PeekSequence(job, attempt);
}

void JobAnnouncer::Ended(const Job& job) {
  events_.Append(job.name, job.attempt, TerminalEvent(job));
}

void JobAnnouncer::Tick() {
  const Time now = clock_.Now();
  for (auto& [job, last] : running_) {
    if (now - last.announced < kLongestSilence) continue;
    last.announced = now;
    *last.event.mutable_time() = ToTimestamp(clock_.Wall());
    events_.Append(job, last.attempt, last.event);
  }
}

}  // namespace cogwheel
