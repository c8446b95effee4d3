#include "server/events/event_log.h"

#include <algorithm>
#include <limits>
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
  return Add(job, attempt, std::move(event), Held());
}

int64_t EventLog::AppendChunk(const std::string& job, int32_t attempt, v1::JobEvent event,
                              int64_t bytes, std::shared_ptr<const ResultReader> data) {
  Held held;
  held.chunk_bytes = bytes;
  held.data = std::move(data);
  return Add(job, attempt, std::move(event), std::move(held));
}

int64_t EventLog::PeekSequence(const std::string& job, int32_t attempt) const {
  MutexLock lock(mutex_);
  const auto found = lines_.find(job);
  const int64_t last = found == lines_.end() ? 0 : found->second.last;
  return std::max(last + 1, int64_t{attempt} << 32);
}

int64_t EventLog::Add(const std::string& job, int32_t attempt, v1::JobEvent event, Held held) {
  Watchers watchers;
  int64_t sequence = 0;
  {
    MutexLock lock(mutex_);
    Line& line = lines_[job];
    if (line.ended) return line.last;
    sequence = std::max(line.last + 1, int64_t{attempt} << 32);
    event.set_job(job);
    event.set_attempt(attempt);
    event.set_sequence(sequence);
    line.last = sequence;
    line.ended = IsTerminalEvent(event);
    if (event.has_queued()) line.queue_position = event.queued().position();
    if (event.has_progress()) {
      line.progress = event.progress();
      line.progress_attempt = attempt;
    }
    held.sequence = sequence;
    held.cost = event.ByteSizeLong();
    held.event = std::make_shared<const v1::JobEvent>(std::move(event));
    Keep(line, std::move(held));
    watchers = WatchersOf(job);
    if (line.ended) Finished(job);
  }
  for (const auto& watcher : watchers) watcher->OnEvents();
  return sequence;
}

void EventLog::Keep(Line& line, Held held) {
  line.cost += held.cost;
  Ring& ring = held.event->has_chunk() ? line.chunks : line.told;
  ring.events.push_back(std::move(held));
  const auto drop = [&line](Ring& from) {
    line.cost -= from.events.front().cost;
    from.DropOldest();
  };
  if (ring.events.size() > bounds_.events) drop(ring);
  while (line.cost > bounds_.bytes && line.told.events.size() + line.chunks.events.size() > 1) {
    drop(line.told.oldest() < line.chunks.oldest() ? line.told : line.chunks);
  }
}

void EventLog::Finished(const std::string& job) {
  finished_.push_back(job);
  while (finished_.size() > bounds_.finished_jobs) {
    lines_.erase(finished_.front());
    finished_.pop_front();
  }
}

EventLog::Watchers EventLog::WatchersOf(const std::string& job) const {
  const auto found = watchers_.find(job);
  return found == watchers_.end() ? Watchers() : found->second;
}

const EventLog::Held* EventLog::Ring::FirstAfter(int64_t sequence) const {
  const auto later = std::ranges::upper_bound(events, sequence, {}, &Held::sequence);
  return later == events.end() ? nullptr : &*later;
}

void EventLog::Ring::DropOldest() {
  dropped_through = events.front().sequence;
  events.pop_front();
}

int64_t EventLog::Ring::oldest() const {
  return events.empty() ? std::numeric_limits<int64_t>::max() : events.front().sequence;
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
  const int64_t dropped =
      std::max(line.told.dropped_through, include_video ? line.chunks.dropped_through : int64_t{0});
  if (after < dropped) {
    next.found = Found::kGap;
    next.sequence = dropped;
    return next;
  }
  const Held* told = line.told.FirstAfter(after);
  const Held* chunk = include_video ? line.chunks.FirstAfter(after) : nullptr;
  const bool chunk_first =
      told == nullptr || (chunk != nullptr && chunk->sequence < told->sequence);
  const Held* first = chunk_first ? chunk : told;
  if (first == nullptr) {
    next.found = line.ended ? Found::kEnd : Found::kNothing;
    return next;
  }
  next.found = Found::kEvent;
  next.event = first->event;
  next.sequence = first->sequence;
  next.chunk_bytes = first->chunk_bytes;
  next.data = first->data;
  return next;
}

void EventLog::Watch(const std::string& job, const std::shared_ptr<EventWatcher>& watcher) {
  MutexLock lock(mutex_);
  watchers_[job].push_back(watcher);
}

void EventLog::Unwatch(const std::string& job, const EventWatcher* watcher) {
  std::shared_ptr<EventWatcher> released;  // goes without the lock
  MutexLock lock(mutex_);
  const auto found = watchers_.find(job);
  if (found == watchers_.end()) return;
  const auto entry = std::ranges::find(found->second, watcher, &std::shared_ptr<EventWatcher>::get);
  if (entry == found->second.end()) return;
  released = std::move(*entry);
  found->second.erase(entry);
  if (found->second.empty()) watchers_.erase(found);
}

void EventLog::Forget(const std::string& job) {
  Watchers watchers;
  {
    MutexLock lock(mutex_);
    if (lines_.erase(job) == 0) return;
    std::erase(finished_, job);
    watchers = WatchersOf(job);
  }
  for (const auto& watcher : watchers) watcher->OnEvents();
}

}  // namespace cogwheel
