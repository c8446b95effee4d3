#include "server/dispatch/event_loop.h"

#include <atomic>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/mutex.h"
#include "tests/support/fake_clock.h"

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

TEST(EventLoop, AnswersComeOnItsThread) {
  const SystemClock clock;
  EventLoop loop(clock);
  loop.Start();
  std::promise<std::pair<int, std::thread::id>> answered;
  const std::function<void(int)> answer = loop.Later<int>(
      [&answered](int value) { answered.set_value({value, std::this_thread::get_id()}); });
  std::promise<std::thread::id> own;
  loop.Post([&own] { own.set_value(std::this_thread::get_id()); });
  std::thread elsewhere([&answer] { answer(7); });
  elsewhere.join();
  auto came = answered.get_future();
  ASSERT_EQ(std::future_status::ready, came.wait_for(std::chrono::seconds(10)));
  EXPECT_EQ(std::pair(7, own.get_future().get()), came.get());
}

// A turn that waits shows by the wall's clock: that is what nobody may do there.
TEST(EventLoop, MeasuresATurnThatWaits) {
  FakeClock clock;
  EventLoop loop(clock);
  std::vector<double> turns;
  loop.Measure({[&turns](double seconds) { turns.push_back(seconds); }, nullptr});
  loop.Post([] {});
  loop.Post([] {
    Mutex mutex;
    CondVar never;
    MutexLock lock(mutex);
    never.WaitFor(mutex, std::chrono::milliseconds(30), [] { return false; });
  });
  loop.RunTasks();
  ASSERT_EQ(2, turns.size());
  EXPECT_LT(turns[0], 0.02) << "it computes next to nothing, whoever else has the CPU";
  EXPECT_GE(turns[1], 0.03);
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
