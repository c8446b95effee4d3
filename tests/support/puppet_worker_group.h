#pragma once

#include <string>
#include <vector>

#include "server/dispatch/worker_group.h"

namespace cogwheel {

// A group that does what a test says. Owned by the thread that owns the dispatcher.
class PuppetWorkerGroup final : public WorkerGroup {
 public:
  PuppetWorkerGroup(std::string name, std::string model, WorkerGroupObserver& observer)
      : name_(std::move(name)), model_(std::move(model)), observer_(observer) {}

  void Form(int64_t epoch) {
    epoch_ = epoch;
    observer_.OnIdle(*this);
  }
  void Start(const RunStart& start = {}) { observer_.OnStarted(*this, start); }
  void Refuse(const absl::Status& why) {
    observer_.OnRefused(*this, why);
    observer_.OnIdle(*this);
  }
  void Progress(const RunProgress& progress) { observer_.OnProgress(*this, progress); }
  void Preview(const std::string& jpeg) { observer_.OnPreview(*this, 1, 10, jpeg); }
  void Chunk(int64_t offset, const std::string& data) {
    observer_.OnResultChunk(*this, offset, data);
  }
  void End(const RunOutcome& outcome) {
    observer_.OnFinished(*this, outcome);
    observer_.OnIdle(*this);
  }
  void Lose(const absl::Status& why, bool charged = true) {
    observer_.OnLost(*this, {why, charged});
  }

  const std::string& name() const override { return name_; }
  std::string model() const override { return model_; }
  std::string model_digest() const override { return digest; }
  Capabilities capabilities() const override { return can; }
  int64_t epoch() const override { return epoch_; }
  std::string setup() const override { return name_; }
  void Run(const AttemptOrder& order) override { orders.push_back(order); }
  void Cancel() override { ++cancels; }

  std::vector<AttemptOrder> orders;  // that it was given
  int cancels = 0;
  std::string digest = "d1";  // TestModel's
  Capabilities can;

 private:
  const std::string name_, model_;
  WorkerGroupObserver& observer_;
  int64_t epoch_ = 0;
};

}  // namespace cogwheel
