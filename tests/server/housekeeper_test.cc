#include "server/housekeeper.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;

class HousekeeperTest : public testing::Test {
 protected:
  void Pass(seconds time) {
    clock_.Advance(time);
    housekeeper_.Tick();
  }
  // Behind all that was posted in its line.
  void Settle(const std::string& line) {
    std::promise<void> done;
    pool_.Post(line, [&done] { done.set_value(); });
    ASSERT_EQ(std::future_status::ready, done.get_future().wait_for(seconds(10)));
  }

  FakeClock clock_;
  IoPool pool_{{.threads = 2, .in_order = true}};
  Housekeeper housekeeper_{pool_, clock_};
};

TEST_F(HousekeeperTest, DoesEachTaskInItsPeriod) {
  std::atomic<int> hourly{0}, often{0};
  housekeeper_.Every(seconds(3600), "hourly", [&hourly] { ++hourly; }, seconds(3600));
  housekeeper_.Every(seconds(1), "often", [&often] { ++often; }, seconds(0));
  Pass(seconds(0));
  Settle("often");
  EXPECT_EQ(1, often) << "at once";
  for (int i = 0; i < 3; ++i) {
    Pass(seconds(1));
    Settle("often");
  }
  EXPECT_EQ(4, often);
  EXPECT_EQ(0, hourly);
  Pass(seconds(3600));
  Settle("hourly");
  EXPECT_EQ(1, hourly);
}

// It may take longer than its period: it is not asked for again, and the tick does not wait.
TEST_F(HousekeeperTest, ATaskThatTakesLongRunsOnce) {
  std::promise<void> entered, leave;
  std::atomic<int> runs{0};
  const auto slow = [&] {
    if (++runs > 1) return;
    entered.set_value();
    leave.get_future().wait_for(seconds(10));
  };
  housekeeper_.Every(seconds(1), "slow", slow, seconds(0));
  Pass(seconds(0));
  ASSERT_EQ(std::future_status::ready, entered.get_future().wait_for(seconds(10)));
  for (int i = 0; i < 5; ++i) Pass(seconds(1));
  EXPECT_EQ(0, pool_.waiting());
  leave.set_value();
  Settle("slow");
  EXPECT_EQ(1, runs);
  Pass(seconds(1));
  Settle("slow");
  EXPECT_EQ(2, runs);
}

}  // namespace
}  // namespace cogwheel
