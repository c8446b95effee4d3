#pragma once

#include <functional>
#include <string>
#include <vector>

#include "server/dispatch/worker_group.h"

namespace cogwheel {

// Hears what groups say and does nothing.
class PuppetObserver final : public WorkerGroupObserver {
 public:
  void OnIdle(WorkerGroup&) override {}
  void OnStarted(WorkerGroup&, const RunStart&) override {}
  void OnRefused(WorkerGroup&, const absl::Status&) override {}
  void OnProgress(WorkerGroup&, const RunProgress&) override {}
  void OnPreview(WorkerGroup&, int, int, std::string_view) override {}
  void OnResultPiece(WorkerGroup&, ResultPiece) override {}
  void OnFinished(WorkerGroup&, const RunOutcome&) override {}
  void OnLost(WorkerGroup&, const GroupLoss&) override {}
  void OnLossExplained(const std::string&, const absl::Status&) override {}
};

// A group that does what a test says. Owned by the thread that owns the dispatcher.
class PuppetWorkerGroup final : public WorkerGroup {
 public:
  // `settle` lets what a word of the group causes take place.
  PuppetWorkerGroup(
      std::string name, std::string model, WorkerGroupObserver& observer,
      std::function<void()> settle = [] {})
      : name_(std::move(name)),
        model_(std::move(model)),
        observer_(observer),
        settle_(std::move(settle)) {}

  void Form(int64_t epoch) {
    epoch_ = epoch;
    observer_.OnIdle(*this);
    settle_();
  }
  void Start(const RunStart& start = {}) {
    observer_.OnStarted(*this, start);
    settle_();
  }
  void Refuse(const absl::Status& why) {
    observer_.OnRefused(*this, why);
    observer_.OnIdle(*this);
    settle_();
  }
  void Progress(const RunProgress& progress) { observer_.OnProgress(*this, progress); }
  void Preview(const std::string& jpeg) { observer_.OnPreview(*this, 1, 10, jpeg); }
  void Chunk(int64_t offset, const std::string& data) {
    observer_.OnResultPiece(*this, {offset, data, nullptr});
    settle_();
  }
  void End(const RunOutcome& outcome) {
    observer_.OnFinished(*this, outcome);
    observer_.OnIdle(*this);
    settle_();
  }
  void Lose(const absl::Status& why, bool charged = true) {
    observer_.OnLost(*this, {why, charged});
    settle_();
  }

  const std::string& name() const override { return name_; }
  std::string model() const override { return model_; }
  std::string model_digest() const override { return digest; }
  Capabilities capabilities() const override { return can; }
  int64_t epoch() const override { return epoch_; }
  std::string setup() const override { return name_; }
  int ranks() const override { return rank_count; }
  void Run(const AttemptOrder& order) override { orders.push_back(order); }
  void Cancel() override { ++cancels; }

  std::vector<AttemptOrder> orders;  // that it was given
  int cancels = 0;
  std::string digest = "d1";  // TestModel's
  Capabilities can;
  int rank_count = 1;

 private:
  const std::string name_, model_;
  WorkerGroupObserver& observer_;
  const std::function<void()> settle_;
  int64_t epoch_ = 0;
};

}  // namespace cogwheel
