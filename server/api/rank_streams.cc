#include "server/api/rank_streams.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr size_t kMostStreams = 64 * 16 + 64;  // 64 groups of 16 ranks, and some that come anew
constexpr int kMostSilent = 64;                // that have not said who they are
constexpr std::chrono::seconds kInterval{1};   // as often as ranks beat
constexpr std::chrono::seconds kHang{60};      // of the dispatcher; /livez says so too

}  // namespace

internal::v1::FrontendMessage BeatOf(int64_t epoch) {
  internal::v1::FrontendMessage message;
  message.mutable_beat()->set_epoch(epoch);
  return message;
}

RankStreams::RankStreams(const EventLoop& loop) : loop_(loop) {
  speaker_ = std::thread([this] { SpeakToHeld(); });
}

RankStreams::~RankStreams() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  speaker_.join();
}

absl::Status RankStreams::Add(RankId id, std::shared_ptr<RankStreamLink> link) {
  MutexLock lock(mutex_);
  const auto silent =
      std::ranges::count_if(links_, [](const auto& entry) { return !entry.second->greeted(); });
  if (links_.size() >= kMostStreams || silent >= kMostSilent) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, "RANK_STREAMS",
        absl::StrCat("there are ", links_.size(), " streams of ranks, of which ", silent,
                     " have not greeted; at most ", kMostStreams, " and ", kMostSilent));
  }
  links_.emplace(id, std::move(link));
  return absl::OkStatus();
}

void RankStreams::Remove(RankId id) {
  MutexLock lock(mutex_);
  links_.erase(id);
}

bool RankStreams::MayAnswer() const { return loop_.SinceLastTurn() < kHang; }

void RankStreams::SpeakToHeld() {
  MutexLock lock(mutex_);
  while (!changed_.WaitFor(mutex_, kInterval,
                           [this]() COGWHEEL_REQUIRES(mutex_) { return stopping_; })) {
    if (!MayAnswer()) continue;
    for (const auto& [id, link] : links_) {
      if (link->held()) link->Send(BeatOf(/*epoch=*/0));
    }
  }
}

}  // namespace cogwheel
