// What tenants are held to, and what is written down of them.
#include <gmock/gmock.h>

#include "tests/server/dispatch/dispatcher_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

class TenantsTest : public DispatcherTest {
 protected:
  std::vector<TenantUsage> Used() {
    return store_.Usage({clock_.Wall(), clock_.Wall() + seconds(1), ""}).value();
  }
};

// Seconds on the group times its ranks; not those in which a disk held the job up.
TEST_F(TenantsTest, EveryAttemptIsBilled) {
  group_.rank_count = 4;
  const std::string name = Accepted();
  group_.Start();
  Pass(seconds(3));
  group_.Lose(absl::UnavailableError("lost"));
  Settle();
  EXPECT_THAT(Used(), ElementsAre(TenantUsage{"default", "tiny", 12}));
  Pass(seconds(60));  // it waits
  group_.rank_count = 2;
  group_.Form(/*epoch=*/8);
  loop_.RunPending();
  group_.Start();
  Pass(seconds(5));
  group_.Chunk(0, "video");
  Settle();
  group_.End(Done("video"));
  Settle();
  EXPECT_EQ(JobState::kSucceeded, Get(name).state);
  EXPECT_THAT(Used(), ElementsAre(TenantUsage{"default", "tiny", 12 + 10, 1, 0, 0, 5}));
}

TEST_F(TenantsTest, WhoNeverRanIsBilledNothing) {
  Accepted();
  const std::string waiting = Accepted();
  ASSERT_TRUE(Cancel(waiting).ok());
  EXPECT_THAT(Used(), ElementsAre(TenantUsage{"default", "tiny", 0, 0, 0, 1, 0}));
}

TEST_F(TenantsTest, WhoHasUsedItsQuotaWaitsAndHearsWhy) {
  dispatcher_.SetTenantLimits({{"default", {.gpu_seconds = 100}}}, 24);
  dispatcher_.SetUsed({{"default", 97}});
  const std::string first = Accepted(), second = Accepted();
  group_.Start();
  Pass(seconds(3));
  group_.End(Cancelled());
  Pass(seconds(1));
  EXPECT_EQ(1, group_.orders.size());
  EXPECT_EQ(JobState::kQueued, Get(second).state);
  Accepted();  // so that all hear of the queue
  EXPECT_EQ("tenant default has used 100 of its 100 GPU seconds within 24 h", WaitingFor(second));
  dispatcher_.SetUsed({{"default", 50}});  // the window has moved
  Pass(seconds(1));
  EXPECT_EQ(JobState::kRunning, Get(second).state);
}

TEST_F(TenantsTest, SoManyJobsOfATenantRunAtOnce) {
  dispatcher_.SetTenantLimits({{"default", {.running_jobs = 1}}}, 24);
  PuppetWorkerGroup other("other", "tiny", dispatcher_, Settler());
  other.Form(/*epoch=*/9);
  loop_.RunPending();
  Accepted();
  const std::string second = Accepted();
  EXPECT_EQ(1, group_.orders.size() + other.orders.size());
  EXPECT_EQ("tenant default runs 1 jobs; its limit is 1", WaitingFor(second));
  dispatcher_.SetTenantLimits({{"default", {.running_jobs = 2}}}, 24);
  Pass(seconds(1));
  EXPECT_EQ(2, group_.orders.size() + other.orders.size());
}

}  // namespace
}  // namespace cogwheel
