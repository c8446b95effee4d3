#include "server/events/event_log.h"

#include <algorithm>
#include <utility>

namespace cogwheel {
namespace {

bool IsTerminalEvent(const v1::JobEvent& event) {
  return event.has_succeeded() || event.has_failed() || event.has_cancelled() ||
         event.has_expired();
}

}  // namespace

void EventLog::Open(const std::string& job) {
  MutexLock lock(mutex_);
  lines_[job];
}

int64_t EventLog::Append(const std::string& job, int32_t attempt, v1::JobEvent event) {
  Held held;
  held.event = std::move(event);
  return Add(job, attempt, std::move(held));
}

int64_t EventLog::AppendChunk(const std::string& job, int32_t attempt, v1::JobEvent event,
                              int64_t bytes, std::shared_ptr<const ResultReader> data) {
  Held held;
  held.event = std::move(event);
  held.chunk_bytes = bytes;
  held.data = std::move(data);
  return Add(job, attempt, std::move(held));
}

int64_t EventLog::PeekSequence(const std::string& job, int32_t attempt) const {
  MutexLock lock(mutex_);
  const auto found = lines_.find(job);
  const int64_t last = found == lines_.end() ? 0 : found->second.last;
  return std::max(last + 1, int64_t{attempt} << 32);
}

int64_t EventLog::Add(const std::string& job, int32_t attempt, Held held) {
  std::vector<std::shared_ptr<EventWatcher>> watchers;
  int64_t sequence = 0;
  {
    MutexLock lock(mutex_);
    Line& line = lines_[job];
    if (line.ended) return line.last;
    sequence = std::max(line.last + 1, int64_t{attempt} << 32);
    held.event.set_job(job);
    held.event.set_attempt(attempt);
    held.event.set_sequence(sequence);
    held.cost = held.event.ByteSizeLong();
    line.last = sequence;
    line.cost += held.cost;
    line.ended = IsTerminalEvent(held.event);
    if (held.event.has_queued()) line.queue_position = held.event.queued().position();
    if (held.event.has_progress()) {
      line.progress = held.event.progress();
      line.progress_attempt = attempt;
    }
    line.events.push_back(std::move(held));
    while (line.events.size() > bounds_.events ||
           (line.cost > bounds_.bytes && line.events.size() > 1)) {
      DropOldest(line);
    }
    watchers = line.watchers;
    if (line.ended) finished_.push_back(job);
    while (finished_.size() > bounds_.finished_jobs) {
      lines_.erase(finished_.front());
      finished_.pop_front();
    }
  }
  for (const auto& watcher : watchers) watcher->OnEvents();
  return sequence;
}

void EventLog::DropOldest(Line& line) {
  line.dropped_through = line.events.front().event.sequence();
  line.cost -= line.events.front().cost;
  line.events.pop_front();
}

void EventLog::Describe(v1::Job& job) const {
  MutexLock lock(mutex_);
  const auto found = lines_.find(job.name());
  if (found == lines_.end()) return;
  const Line& line = found->second;
  if (job.state() == v1::QUEUED) job.set_queue_position(line.queue_position);
  const bool of_this = line.progress_attempt == job.attempt() && line.progress_attempt > 0;
  if (job.state() == v1::RUNNING && of_this) *job.mutable_progress() = line.progress;
}

EventLog::Next EventLog::ReadAfter(const std::string& job, int64_t after,
                                   bool include_video) const {
  MutexLock lock(mutex_);
  Next next;
  const auto found = lines_.find(job);
  if (found == lines_.end()) return next;
  const Line& line = found->second;
  if (after < line.dropped_through) {
    next.found = Found::kGap;
    next.sequence = line.dropped_through;
    return next;
  }
  const auto later = std::find_if(line.events.begin(), line.events.end(), [&](const Held& held) {
    return held.event.sequence() > after && (include_video || !held.event.has_chunk());
  });
  if (later == line.events.end()) {
    next.found = line.ended ? Found::kEnd : Found::kNothing;
    next.sequence = line.last;
    return next;
  }
  next.found = Found::kEvent;
  next.event = later->event;
  next.sequence = later->event.sequence();
  next.chunk_bytes = later->chunk_bytes;
  next.data = later->data;
  return next;
}

void EventLog::Watch(const std::string& job, const std::shared_ptr<EventWatcher>& watcher) {
  MutexLock lock(mutex_);
  const auto found = lines_.find(job);
  if (found != lines_.end()) found->second.watchers.push_back(watcher);
}

void EventLog::Unwatch(const std::string& job, const EventWatcher* watcher) {
  MutexLock lock(mutex_);
  const auto found = lines_.find(job);
  if (found == lines_.end()) return;
  std::erase_if(found->second.watchers,
                [watcher](const auto& entry) { return entry.get() == watcher; });
}

void EventLog::Forget(const std::string& job) {
  std::vector<std::shared_ptr<EventWatcher>> watchers;
  {
    MutexLock lock(mutex_);
    const auto found = lines_.find(job);
    if (found == lines_.end()) return;
    watchers = std::move(found->second.watchers);
    lines_.erase(found);
    std::erase(finished_, job);
  }
  for (const auto& watcher : watchers) watcher->OnEvents();
}

}  // namespace cogwheel
