#include "server/dispatch/event_loop.h"

#include <atomic>
#include <functional>
#include <future>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

TEST(EventLoop, RunsTasksInOrderOnOneThread) {
  const SystemClock clock;
  EventLoop loop(clock);
  loop.Start();
  std::vector<int> order;
  std::promise<void> done;
  for (int i = 0; i < 100; ++i) loop.Post([&order, i] { order.push_back(i); });
  loop.Post([&done] { done.set_value(); });
  ASSERT_EQ(std::future_status::ready, done.get_future().wait_for(std::chrono::seconds(10)));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(i, order[i]);
  EXPECT_LT(loop.SinceLastTurn(), std::chrono::seconds(10));
}

TEST(EventLoop, TicksWithoutTasks) {
  const SystemClock clock;
  EventLoop loop(clock);
  std::promise<void> ticked;
  std::atomic<int> ticks{0};
  loop.AddTick([&] {
    if (++ticks == 2) ticked.set_value();
  });
  loop.Start();
  EXPECT_EQ(std::future_status::ready, ticked.get_future().wait_for(std::chrono::seconds(10)));
}

TEST(EventLoop, TicksHoweverMuchArrives) {
  const SystemClock clock;
  EventLoop loop(clock);
  std::promise<void> ticked;
  std::atomic<int> ticks{0};
  std::function<void()> again = [&] { loop.Post(again); };
  loop.AddTick([&] {
    if (++ticks == 2) ticked.set_value();
  });
  loop.Start();
  loop.Post(again);
  EXPECT_EQ(std::future_status::ready, ticked.get_future().wait_for(std::chrono::seconds(10)));
  loop.Stop();
}

TEST(EventLoop, TakesNothingOnceStopped) {
  const SystemClock clock;
  EventLoop loop(clock);
  loop.Start();
  loop.Stop();
  EXPECT_FALSE(loop.TryPost([] {}));
  loop.Stop();
}

TEST(EventLoop, IsBounded) {
  const SystemClock clock;
  EventLoop loop(clock);  // nobody runs it
  int taken = 0;
  while (taken < 1'000'000 && loop.TryPost([] {})) ++taken;
  EXPECT_EQ(10'000, taken);
}

}  // namespace
}  // namespace cogwheel
