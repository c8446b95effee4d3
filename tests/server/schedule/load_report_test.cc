#include "server/schedule/load_report.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include "tests/support/fake_clock.h"

namespace cogwheel {
namespace {

class LoadReportTest : public testing::Test {
 protected:
  // A job of model "a" that should take 3 s, with its place in the ledger.
  QueuedJob Queue(const std::string& name) {
    ledger_.Take(name, {.model = "a", .tenant = "t", .bytes = 100, .seconds = 3});
    QueuedJob job;
    job.name = name;
    job.model = "a";
    job.arrival = clock_.Now();
    return job;
  }
  // Of the series with all of `labels`.
  double Gauge(const std::string& name, const std::map<std::string, std::string>& labels) {
    for (const auto& family : metrics_.registry->Collect()) {
      if (family.name != "cogwheel_queue_" + name) continue;
      for (const auto& metric : family.metric) {
        std::map<std::string, std::string> found;
        for (const auto& label : metric.label) found[label.name] = label.value;
        if (found == labels) return metric.gauge.value;
      }
    }
    ADD_FAILURE() << name << " is not shown";
    return -1;
  }

  FakeClock clock_;
  AdmissionLedger ledger_{{100, 10'000, 1000}};
  ServerMetrics metrics_{MakeRegistry()};
  LoadReport report_{ledger_, metrics_, clock_};
  const Placement::Slot idle_{{"i", "a"}, /*idle=*/true, 0};
  const Placement::Slot busy_{{"b", "a"}, /*idle=*/false, /*free_in=*/8};
  const Placement::Slot other_{{"o", "c"}, /*idle=*/true, 0};
};

TEST_F(LoadReportTest, CountsEachModelsJobsSecondsAndAge) {
  const QueuedJob first = Queue("jobs/1");
  clock_.Advance(std::chrono::seconds(40));
  const QueuedJob second = Queue("jobs/2");
  clock_.Advance(std::chrono::seconds(2));
  report_.Show({idle_, busy_, other_}, {&first, &second});
  EXPECT_EQ(2, Gauge("jobs", {{"state", "queued"}, {"model", "a"}}));
  EXPECT_EQ(1, Gauge("jobs", {{"state", "running"}, {"model", "a"}}));
  EXPECT_EQ(3 + 3 + 8, Gauge("gpu_seconds", {{"model", "a"}}));
  EXPECT_EQ(42, Gauge("oldest_age_seconds", {{"model", "a"}}));
  EXPECT_EQ(200, Gauge("bytes", {}));
  EXPECT_EQ(0, Gauge("jobs", {{"state", "running"}, {"model", "c"}}));
  EXPECT_EQ(0, Gauge("gpu_seconds", {{"model", "c"}}));
}

TEST_F(LoadReportTest, AdmissionKnowsTheBacklogOfAGroup) {
  const QueuedJob job = Queue("jobs/1");
  report_.Show({idle_, busy_}, {&job});
  // (3 + 8) s over two groups come before a job of 1 s.
  const JobCost hurried = {.model = "a", .tenant = "t", .seconds = 1, .deadline = 6};
  EXPECT_TRUE(absl::IsResourceExhausted(ledger_.Reserve("jobs/2", hurried)));
  const JobCost patient = {.model = "a", .tenant = "t", .seconds = 1, .deadline = 6.5};
  EXPECT_EQ(absl::OkStatus(), ledger_.Reserve("jobs/3", patient));
}

TEST_F(LoadReportTest, AModelThatLostItsJobsAndGroupsIsAtNought) {
  const QueuedJob job = Queue("jobs/1");
  report_.Show({busy_}, {&job});
  ledger_.Release("jobs/1");
  report_.Show({}, {});
  for (const char* state : {"queued", "running"}) {
    EXPECT_EQ(0, Gauge("jobs", {{"state", state}, {"model", "a"}}));
  }
  EXPECT_EQ(0, Gauge("gpu_seconds", {{"model", "a"}}));
  EXPECT_EQ(0, Gauge("oldest_age_seconds", {{"model", "a"}}));
  EXPECT_EQ(0, Gauge("bytes", {}));
}

}  // namespace
}  // namespace cogwheel
