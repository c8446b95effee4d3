#include "server/groups/epoch_request.h"

#include <algorithm>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kLongestWait{30};  // between two questions

std::chrono::seconds WaitAfter(int failures) {
  return std::min(kLongestWait, std::chrono::seconds(1 << std::min(failures - 1, 5)));
}

}  // namespace

EpochRequest::EpochRequest(JobStore& store, const Clock& clock, PostTask post)
    : store_(store), clock_(clock), post_(std::move(post)) {}

void EpochRequest::Begin(const v1::Model& model, std::function<void(int64_t)> got) {
  model_ = model;
  got_ = std::move(got);
  failures_ = 0;
  Ask();
}

void EpochRequest::Drop() {
  ++*asked_;
  ask_again_ = Time::max();
}

void EpochRequest::Tick() {
  if (clock_.Now() >= ask_again_) Ask();
}

void EpochRequest::Ask() {
  ask_again_ = Time::max();
  Failpoint("group.before_epoch");
  const int64_t number = ++*asked_;
  store_.NewEpoch(model_, [this, post = post_, number,
                           asked = std::weak_ptr<int64_t>(asked_)](absl::StatusOr<int64_t> epoch) {
    post([this, number, asked, epoch = std::move(epoch)] {
      const std::shared_ptr<int64_t> last = asked.lock();  // null: so is this object
      if (last != nullptr && *last == number) OnAnswer(epoch);
    });
  });
}

void EpochRequest::OnAnswer(const absl::StatusOr<int64_t>& epoch) {
  Failpoint("group.after_epoch");
  if (epoch.ok()) return got_(*epoch);
  ask_again_ = clock_.Now() + WaitAfter(++failures_);
  if (failures_ > 1) return;
  Log(LogLevel::kError, "the store has no epoch for a group; its ranks wait until it has",
      {{"model", model_.name()}, {"error", std::string(epoch.status().message())}});
}

}  // namespace cogwheel
