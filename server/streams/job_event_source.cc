#include "server/streams/job_event_source.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "proto/contract/status.h"
#include "server/events/job_event.h"

namespace cogwheel {
namespace {

MessageSource::Pulled Message(const v1::JobEvent& event) {
  return {event.SerializeAsString(), std::nullopt};
}
MessageSource::Pulled End(const absl::Status& status) { return {std::nullopt, status}; }

// OK, or a finished job's error.
absl::Status StatusOf(const Job& job) {
  if (job.error.code == absl::StatusCode::kOk) return absl::OkStatus();
  return MakeError(job.error.code, job.error.reason, job.name + ": " + job.error.message);
}

// Nothing when its bytes are gone, with the attempt.
MessageSource::Pulled ChunkMessage(const EventLog::Next& next) {
  absl::StatusOr<std::string> bytes =
      next.data->Read(next.event->chunk().offset(), next.chunk_bytes);
  if (!bytes.ok()) return End(bytes.status());
  if (static_cast<int64_t>(bytes->size()) < next.chunk_bytes) return {};
  v1::JobEvent event = *next.event;
  event.mutable_chunk()->set_data(*std::move(bytes));
  return Message(event);
}

}  // namespace

MessageSource::Pulled JobEventSource::Pull(const std::shared_ptr<EventWatcher>& waker) {
  if (!job_.empty()) return Next();
  if (find_ != nullptr) {
    std::exchange(find_, nullptr)([found = found_, waker](absl::StatusOr<Job> job) {
      {
        MutexLock lock(found->mutex);
        found->job = std::move(job);
      }
      waker->OnEvents();
    });
  }
  std::optional<absl::StatusOr<Job>> job;
  {
    MutexLock lock(found_->mutex);
    job = found_->job;
  }
  if (!job.has_value()) return {};
  return job->ok() ? Follow(**job, waker) : End(job->status());
}

MessageSource::Pulled JobEventSource::Follow(const Job& job,
                                             const std::shared_ptr<EventWatcher>& waker) {
  tenant_ = job.tenant;
  job_ = job.name;
  holding_ = options_.hold && job.held;
  if (holding_) parts_.holders.Hold(job);
  parts_.events.Watch(job_, waker);  // before the first look: no event falls between
  return Next();
}

MessageSource::Pulled JobEventSource::Next() {
  for (;;) {
    const EventLog::Next next = parts_.events.ReadAfter(job_, after_, options_.include_video);
    switch (next.found) {
      case EventLog::Found::kNothing:
        return {};
      case EventLog::Found::kUnknown:
        return NextFromStore();
      case EventLog::Found::kGap:
        return Snapshot(next.sequence);
      case EventLog::Found::kEnd:
        return EndWithJob();
      case EventLog::Found::kEvent:
        break;
    }
    after_ = next.sequence;
    if (!next.event->has_chunk()) return Message(*next.event);
    Pulled chunk = ChunkMessage(next);
    if (chunk.message.has_value() || chunk.end.has_value()) return chunk;
  }
}

MessageSource::Pulled JobEventSource::Snapshot(int64_t sequence) {
  const absl::StatusOr<Job> job = parts_.store.Get(tenant_, job_);
  if (!job.ok()) return End(job.status());
  after_ = sequence;
  v1::JobEvent event = SnapshotEvent(*job, sequence);
  parts_.events.Describe(*event.mutable_snapshot());
  return Message(event);
}

// The log holds nothing of the job. It has ended: a snapshot, then its last event. Or it is so new
// that its first event is still to come, which will wake this stream.
MessageSource::Pulled JobEventSource::NextFromStore() {
  const absl::StatusOr<Job> job = parts_.store.Get(tenant_, job_);
  if (!job.ok()) return End(job.status());
  if (!IsTerminal(job->state)) return {};
  if (after_ >= job->last_sequence) return EndWithJob();
  if (!std::exchange(told_from_store_, true)) {
    return Message(SnapshotEvent(*job, job->last_sequence - 1));
  }
  after_ = job->last_sequence;
  return Message(TerminalEvent(*job));
}

MessageSource::Pulled JobEventSource::EndWithJob() const {
  if (!options_.end_with_job) return End(absl::OkStatus());
  const absl::StatusOr<Job> job = parts_.store.Get(tenant_, job_);
  return End(job.ok() ? StatusOf(*job) : job.status());
}

void JobEventSource::OnOver(const EventWatcher& waker, StreamEnd end) {
  if (job_.empty()) return;
  parts_.events.Unwatch(job_, &waker);
  if (holding_) parts_.holders.LetGo(job_, end);
}

}  // namespace cogwheel
