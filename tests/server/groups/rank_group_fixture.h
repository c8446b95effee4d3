#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
#include "server/groups/rank_groups.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_job_store.h"
#include "tests/support/memory_job_store.h"
#include "tests/support/tiny_model.h"

namespace cogwheel {

class FakeLink final : public RankLink {
 public:
  void Send(const internal::v1::FrontendMessage& message) override {
    if (!closed) sent.push_back(message);
  }
  void Close(const absl::Status& why) override {
    if (!closed) closed = why;
  }
  bool held() const override { return not_read; }
  const internal::v1::FrontendMessage& last() const { return sent.back(); }

  std::vector<internal::v1::FrontendMessage> sent;
  // It would be taken again in another epoch, and knows it.
  bool sent_away() const { return closed.has_value() && IsSentAway(ErrorReason(*closed)); }

  std::optional<absl::Status> closed;
  bool not_read = false;
};

// Writes down what groups tell.
class Recorder final : public WorkerGroupObserver {
 public:
  void OnIdle(WorkerGroup& group) override {
    groups[group.name()] = &group;
    told.push_back("idle");
  }
  void OnStarted(WorkerGroup&, const RunStart& start) override {
    told.push_back("started");
    started = start;
  }
  void OnRefused(WorkerGroup&, const absl::Status& why) override {
    told.push_back("refused");
    status = why;
  }
  void OnProgress(WorkerGroup&, const RunProgress& progress) override {
    told.push_back("progress " + std::to_string(progress.step));
  }
  void OnPreview(WorkerGroup&, int, int, std::string_view) override { told.push_back("preview"); }
  void OnResultPiece(WorkerGroup&, ResultPiece piece) override {
    told.push_back("chunk " + std::string(piece.bytes));
  }
  void OnFinished(WorkerGroup&, const RunOutcome& result) override {
    told.push_back("finished");
    outcome = result;
  }
  void OnLost(WorkerGroup&, const GroupLoss& loss) override {
    told.push_back(loss.charged ? "lost, charged" : "lost");
    kind = loss.kind;
    status = loss.why;
    job_error = loss.job_error;
  }
  void OnLossExplained(const std::string& job, const absl::Status& why) override {
    told.push_back("explained " + job);
    job_error = why;
  }

  std::map<std::string, WorkerGroup*> groups;
  std::vector<std::string> told;
  RunStart started;
  absl::Status status;
  absl::Status job_error;
  GroupLossKind kind = GroupLossKind::kLost;
  RunOutcome outcome;
};

inline internal::v1::Hello MakeHello(const std::string& host, int local_rank, int ranks = 2) {
  internal::v1::Hello hello;
  hello.set_group("g");
  hello.mutable_mesh()->set_cfg(1);
  hello.mutable_mesh()->set_ring(1);
  hello.mutable_mesh()->set_ulysses(ranks);
  hello.set_host(host);
  hello.set_device("cpu");
  hello.set_local_rank(local_rank);
  hello.set_code_version("1");
  hello.set_dtype("fp32");
  hello.set_peer_address(host + ":" + std::to_string(1000 + local_rank));
  *hello.mutable_model() = TinyModel();
  return hello;
}

class RankGroupTest : public testing::Test {
 protected:
  std::shared_ptr<FakeLink> Join(RankId id, const internal::v1::Hello& hello) {
    auto link = std::make_shared<FakeLink>();
    groups_.OnJoin(id, link);
    internal::v1::RankMessage message;
    *message.mutable_hello() = hello;
    groups_.OnMessage(id, message);
    RunPosted();
    return link;
  }
  // What the store's answers have put onto the dispatcher's thread.
  void RunPosted() {
    while (!posted_.empty()) {
      const std::function<void()> task = std::move(posted_.front());
      posted_.pop_front();
      task();
    }
  }
  void Formed(RankId id, int64_t epoch, uint32_t weights_crc32c = 0) {
    internal::v1::RankMessage message;
    message.mutable_formed()->set_epoch(epoch);
    message.mutable_formed()->set_weights_crc32c(weights_crc32c);
    groups_.OnMessage(id, message);
  }
  // Two ranks, formed: ids 1 (host b) and 2 (host a, so world rank 0).
  void Form() {
    b_ = Join(1, MakeHello("b", 0));
    a_ = Join(2, MakeHello("a", 0));
    Formed(1, a_->last().assign().epoch());
    Formed(2, a_->last().assign().epoch());
    group_ = recorder_.groups.at("g");
    recorder_.told.clear();
  }
  void Run() {
    AttemptOrder order;
    order.job = "jobs/1";
    order.attempt = 1;
    order.request.set_scheduler(v1::SCHEDULER_DPM);
    order.request.set_output_type(v1::OUTPUT_TYPE_VIDEO);
    order.image = std::make_shared<const std::string>("image");
    group_->Run(order);
    sequence_ = a_->last().run_job().job_sequence();
  }
  void Answer(RankId id, int code, const std::string& text = "",
              const std::string& reason = "WHY") {
    internal::v1::RankMessage message;
    auto& answer = *message.mutable_job_answer();
    answer.set_epoch(group_->epoch());
    answer.set_job_sequence(sequence_);
    answer.set_code(code);
    answer.set_message(text);
    answer.set_reason(text.empty() ? "" : reason);
    groups_.OnMessage(id, message);
  }
  void Start() {
    Run();
    Answer(1, 0);
    Answer(2, 0);
    recorder_.told.clear();
  }
  void Done(RankId id, int code, const std::string& text = "", bool epoch_over = false,
            const std::string& reason = "") {
    internal::v1::RankMessage message;
    auto& done = *message.mutable_job_done();
    done.set_epoch(group_->epoch());
    done.set_job_sequence(sequence_);
    done.set_code(code);
    done.set_message(text);
    done.set_reason(reason);
    done.set_sha256("s" + std::to_string(id));
    done.set_epoch_over(epoch_over);
    groups_.OnMessage(id, message);
  }
  void Progress(RankId id, int64_t epoch, int64_t sequence, int step) {
    internal::v1::RankMessage message;
    message.mutable_progress()->set_epoch(epoch);
    message.mutable_progress()->set_job_sequence(sequence);
    message.mutable_progress()->set_stage(internal::v1::STAGE_DENOISE);
    message.mutable_progress()->set_step(step);
    message.mutable_progress()->set_steps(10);
    groups_.OnMessage(id, message);
  }
  // A rank that leaves the group for good with its report.
  void Broken(RankId id, int code, const std::string& text, const std::string& reason = "") {
    Done(id, code, text, /*epoch_over=*/true, reason);
  }
  void Leaving(RankId id, bool now = false) {
    internal::v1::RankMessage message;
    message.mutable_leaving()->set_epoch(group_->epoch());
    message.mutable_leaving()->set_now(now);
    groups_.OnMessage(id, message);
  }
  std::vector<std::string> Fenced() {
    return Counts("cogwheel_dispatch_fenced_messages_total", "kind");
  }
  std::vector<std::string> Aborts() {
    return Counts("cogwheel_parallel_collective_aborts_total", "reason");
  }
  // Of a metric's series above nought, "value of the label: count".
  std::vector<std::string> Counts(const std::string& metric_name, const std::string& label_name) {
    std::vector<std::string> found;
    for (const auto& family : metrics_.registry->Collect()) {
      if (family.name != metric_name) continue;
      for (const auto& metric : family.metric) {
        for (const auto& label : metric.label) {
          const int count = static_cast<int>(metric.counter.value);
          if (label.name != label_name || count == 0) continue;
          found.push_back(label.value + ": " + std::to_string(count));
        }
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  // What the metric says of the group, if it speaks of it.
  std::optional<double> Up() {
    for (const auto& family : metrics_.registry->Collect()) {
      if (family.name == "cogwheel_dispatch_group_up") return family.metric.at(0).gauge.value;
    }
    return std::nullopt;
  }
  void Beat(RankId id, int64_t epoch = 0, int64_t step = 0, int64_t job_sequence = 0) {
    internal::v1::RankMessage message;
    message.mutable_heartbeat()->set_job_sequence(job_sequence);
    message.mutable_heartbeat()->set_epoch(epoch);
    message.mutable_heartbeat()->set_step(step);
    groups_.OnMessage(id, message);
  }
  // As the loop does it: with ticks.
  void Pass(std::chrono::seconds time) {
    for (; time.count() > 0; time -= std::chrono::seconds(1)) {
      clock_.Advance(std::chrono::seconds(1));
      groups_.Tick();
      RunPosted();
    }
  }
  v1::Group Board() { return board_.Find("g").value(); }

  FakeClock clock_;
  MemoryJobStore store_;
  FaultyJobStore faulty_{store_};
  std::deque<std::function<void()>> posted_;
  CostModel costs_;
  Recorder recorder_;
  GroupBoard board_;
  ServerMetrics metrics_{MakeRegistry()};
  std::function<absl::StatusOr<std::string>()> make_token_ = MakePeerToken;
  RankGroups groups_{{.store = faulty_,
                      .clock = clock_,
                      .observer = recorder_,
                      .board = board_,
                      .costs = costs_,
                      .metrics = metrics_,
                      .post = [this](std::function<void()> task) { posted_.push_back(task); },
                      .make_token = [this] { return make_token_(); }}};
  std::shared_ptr<FakeLink> a_, b_;
  WorkerGroup* group_ = nullptr;
  int64_t sequence_ = 0;
};

}  // namespace cogwheel
