#include "base/io_pool.h"

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using testing::ElementsAre;

constexpr std::chrono::seconds kLimit{10};

// Holds up the thread that runs it until it is let go.
class Gate {
 public:
  std::function<void()> Task() {
    return [this] {
      entered_.set_value();
      open_.get_future().wait_for(kLimit);
    };
  }
  void AwaitEntered() {
    ASSERT_EQ(std::future_status::ready, entered_.get_future().wait_for(kLimit));
  }
  void Open() { open_.set_value(); }

 private:
  std::promise<void> entered_, open_;
};

// Posts to a pool and waits for the last task.
class Order {
 public:
  std::function<void()> Task(const std::string& name) {
    return [this, name] {
      MutexLock lock(mutex_);
      order_.push_back(name);
      changed_.NotifyAll();
    };
  }
  std::vector<std::string> Of(size_t count) {
    MutexLock lock(mutex_);
    changed_.WaitFor(mutex_, kLimit,
                     [&]() COGWHEEL_REQUIRES(mutex_) { return order_.size() >= count; });
    return order_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> order_ COGWHEEL_GUARDED_BY(mutex_);
};

TEST(IoPool, LinesTakeTurns) {
  Gate gate;
  Order order;
  IoPool pool({.threads = 1});
  pool.Post("gate", gate.Task());
  gate.AwaitEntered();
  for (const char* name : {"a1", "a2", "a3"}) pool.Post("a", order.Task(name));
  for (const char* name : {"b1", "b2"}) pool.Post("b", order.Task(name));
  EXPECT_EQ(5, pool.waiting());
  gate.Open();
  EXPECT_THAT(order.Of(5), ElementsAre("a1", "b1", "a2", "b2", "a3"));
  EXPECT_EQ(0, pool.waiting());
}

TEST(IoPool, RefusesBeyondTheBoundOfALineAndOfAll) {
  Gate gate;
  IoPool pool({.threads = 1, .line = 2, .all = 3});
  pool.Post("gate", gate.Task());
  gate.AwaitEntered();
  EXPECT_TRUE(pool.TryPost("a", [] {}));
  EXPECT_TRUE(pool.TryPost("a", [] {}));
  EXPECT_FALSE(pool.TryPost("a", [] {})) << "the line has two";
  EXPECT_TRUE(pool.TryPost("b", [] {}));
  EXPECT_FALSE(pool.TryPost("c", [] {})) << "all have three";
  pool.Post("a", [] {});  // has a bound of its own
  EXPECT_EQ(4, pool.waiting());
  gate.Open();
}

// A disk that holds up one line holds up no other.
TEST(IoPool, InOrderALineRunsOneByOneAndOthersGoOn) {
  Gate gate;
  Order order;
  IoPool pool({.threads = 3, .in_order = true});
  pool.Post("a", gate.Task());
  gate.AwaitEntered();
  for (const char* name : {"a2", "a3"}) pool.Post("a", order.Task(name));
  for (const char* name : {"b1", "b2"}) pool.Post("b", order.Task(name));
  EXPECT_THAT(order.Of(2), ElementsAre("b1", "b2")) << "a waits for its first";
  EXPECT_EQ(2, pool.waiting());
  gate.Open();
  EXPECT_THAT(order.Of(4), ElementsAre("b1", "b2", "a2", "a3"));
}

TEST(IoPool, SideBySideALineMayUseAllThreads) {
  Gate first, second;
  IoPool pool({.threads = 2});
  pool.Post("a", first.Task());
  pool.Post("a", second.Task());
  first.AwaitEntered();
  second.AwaitEntered();
  first.Open();
  second.Open();
}

TEST(IoPool, StopWaitsForWhatRunsAndDropsTheRest) {
  Gate gate;
  std::atomic<bool> ended{false}, dropped{true};
  IoPool pool({.threads = 1});
  pool.Post("a", [&, task = gate.Task()] {
    task();
    ended = true;
  });
  gate.AwaitEntered();
  pool.Post("a", [&dropped] { dropped = false; });
  std::future<void> stopping = std::async(std::launch::async, [&pool] { pool.Stop(); });
  while (pool.waiting() > 0) std::this_thread::yield();  // it has begun to stop
  EXPECT_FALSE(ended);
  gate.Open();
  stopping.get();
  EXPECT_TRUE(ended);
  EXPECT_TRUE(dropped);
  EXPECT_FALSE(pool.TryPost("a", [] {}));
  pool.Stop();
}

}  // namespace
}  // namespace cogwheel
