#include "server/streams/stream_registry.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kRetry{1000};
constexpr int kLastMessages = 16;  // of each stream at shutdown

bool IsDownload(const StreamRegistry::Caller& caller) { return caller.method == "DownloadVideo"; }

absl::Status Enough(const char* reason, const std::string& whose, const char* what, int limit) {
  return WithRetryAfter(
      MakeError(absl::StatusCode::kResourceExhausted, reason,
                absl::StrCat(whose, " has ", limit, " ", what, " open; the limit is ", limit)),
      kRetry);
}

}  // namespace

void StreamRegistry::SetTenantLimits(std::map<std::string, TenantLimits> limits) {
  MutexLock lock(mutex_);
  tenant_limits_ = std::move(limits);
}

absl::Status StreamRegistry::CheckLimits(const Caller& caller) const {
  if (static_cast<int>(streams_.size()) >= limits_.streams) {
    return Enough("STREAMS", "the server", "streams", limits_.streams);
  }
  const auto own = tenant_limits_.find(caller.tenant);
  const TenantLimits& limits = own == tenant_limits_.end() ? limits_.tenant : own->second;
  const auto found = open_.find(caller.tenant);
  const Open open = found == open_.end() ? Open() : found->second;
  const std::string tenant = absl::StrCat("tenant ", caller.tenant);
  if (open.streams >= limits.streams) return Enough("STREAMS", tenant, "streams", limits.streams);
  if (IsDownload(caller) && open.downloads >= limits.downloads) {
    return Enough("DOWNLOADS", tenant, "downloads", limits.downloads);
  }
  return absl::OkStatus();
}

absl::Status StreamRegistry::Add(const std::shared_ptr<LiveStream>& stream, const Caller& caller) {
  MutexLock lock(mutex_);
  if (closed_.has_value()) return *closed_;
  const absl::Status enough = CheckLimits(caller);
  if (!enough.ok()) return enough;
  streams_.emplace(stream.get(), Entry{stream, caller});
  Open& open = open_[caller.tenant];
  ++open.streams;
  if (IsDownload(caller)) ++open.downloads;
  return absl::OkStatus();
}

void StreamRegistry::Remove(const LiveStream* stream) {
  Entry removed;  // goes without the lock
  MutexLock lock(mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  removed = std::move(found->second);
  streams_.erase(found);
  const auto open = open_.find(removed.caller.tenant);
  if (IsDownload(removed.caller)) --open->second.downloads;
  if (--open->second.streams == 0) open_.erase(open);
}

int StreamRegistry::CutStalled(std::chrono::steady_clock::time_point limit) {
  MutexLock lock(mutex_);
  int cut = 0;
  for (const auto& [stream, entry] : streams_) {
    if (!stream->StalledSince(limit)) continue;
    entry.stream->Cut();
    ++cut;
  }
  return cut;
}

std::map<const LiveStream*, StreamRegistry::Entry> StreamRegistry::Entries() const {
  MutexLock lock(mutex_);
  return streams_;
}

void StreamRegistry::CloseRefused(const std::function<absl::Status(const Caller&)>& check) {
  for (const auto& [stream, entry] : Entries()) {
    const absl::Status status = check(entry.caller);
    if (!status.ok()) entry.stream->Close(status, /*more=*/0);
  }
}

void StreamRegistry::CloseAll(const absl::Status& why) {
  {
    MutexLock lock(mutex_);
    closed_ = why;
  }
  for (const auto& [stream, entry] : Entries()) entry.stream->Close(why, kLastMessages);
}

size_t StreamRegistry::size() const {
  MutexLock lock(mutex_);
  return streams_.size();
}

}  // namespace cogwheel
