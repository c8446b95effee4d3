#include "server/api/stream_registry.h"

namespace cogwheel {

std::optional<absl::Status> StreamRegistry::Add(LiveStream* stream) {
  MutexLock lock(mutex_);
  streams_.insert(stream);
  return closed_;
}

void StreamRegistry::Remove(LiveStream* stream) {
  MutexLock lock(mutex_);
  streams_.erase(stream);
}

int StreamRegistry::CutStalled(std::chrono::steady_clock::time_point limit) {
  MutexLock lock(mutex_);
  int cut = 0;
  for (LiveStream* stream : streams_) {
    if (!stream->StalledSince(limit)) continue;
    stream->Cut();
    ++cut;
  }
  return cut;
}

void StreamRegistry::CloseAll(const absl::Status& why) {
  MutexLock lock(mutex_);
  closed_ = why;
  for (LiveStream* stream : streams_) stream->Close(why);
}

size_t StreamRegistry::size() const {
  MutexLock lock(mutex_);
  return streams_.size();
}

void StreamRegistry::Hold(const std::string& job) {
  MutexLock lock(mutex_);
  ++holders_[job];
}

bool StreamRegistry::LetGo(const std::string& job) {
  MutexLock lock(mutex_);
  const auto found = holders_.find(job);
  if (found == holders_.end()) return false;
  if (--found->second > 0) return false;
  holders_.erase(found);
  return true;
}

}  // namespace cogwheel
