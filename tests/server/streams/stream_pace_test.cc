#include "server/streams/stream_pace.h"

#include <deque>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Notes what it is told; answers only when a test does.
class PuppetWire final : public StreamWire {
 public:
  void Write(std::string message) override { written.push_back(std::move(message)); }
  void Finish(const absl::Status& status) override { finished.push_back(status); }
  void CancelCall() override { ++cancelled; }
  std::vector<std::string> written;
  std::vector<absl::Status> finished;
  int cancelled = 0;
};

// What a stream sends and how it ended, which outlives the source.
struct Script {
  Mutex mutex;
  std::deque<MessageSource::Pulled> next COGWHEEL_GUARDED_BY(mutex);
  std::function<void()> when_asked;  // on the pool's thread
  std::optional<StreamEnd> over;

  void Say(const std::string& message) {
    MutexLock lock(mutex);
    next.push_back({message, std::nullopt});
  }
  void End(const absl::Status& status) {
    MutexLock lock(mutex);
    next.push_back({std::nullopt, status});
  }
};

class ScriptedSource final : public MessageSource {
 public:
  explicit ScriptedSource(Script& script) : script_(script) {}
  Pulled Pull(const std::shared_ptr<EventWatcher>&) override {
    if (script_.when_asked) script_.when_asked();
    MutexLock lock(script_.mutex);
    if (script_.next.empty()) return {};
    Pulled pulled = std::move(script_.next.front());
    script_.next.pop_front();
    return pulled;
  }
  void OnOver(const EventWatcher&, StreamEnd end) override { script_.over = end; }

 private:
  Script& script_;
};

class StreamPaceTest : public testing::Test {
 protected:
  void Begin() { pace_->Begin(std::make_unique<ScriptedSource>(script_)); }
  // Until the pool's one thread has done all that was posted, and what that posted.
  void Settle() {
    for (int i = 0; i < 4; ++i) {
      std::promise<void> done;
      pool_.Post("t", [&done] { done.set_value(); });
      done.get_future().wait();
    }
  }
  void Written(bool ok = true) {
    pace_->OnWritten(ok);
    Settle();
  }

  FakeClock clock_;
  PuppetWire wire_;
  Script script_;
  IoPool pool_{{.threads = 1}};
  std::shared_ptr<StreamPace> pace_ =
      std::make_shared<StreamPace>(StreamPace::Parts{wire_, pool_, clock_, "t"});
};

TEST_F(StreamPaceTest, OneMessageIsInFlightAndTheEndComesOnceAndLast) {
  script_.Say("a");
  script_.Say("b");
  script_.End(absl::OkStatus());
  Begin();
  Settle();
  pace_->OnEvents();
  Settle();
  EXPECT_THAT(wire_.written, ElementsAre("a"));
  Written();
  EXPECT_THAT(wire_.written, ElementsAre("a", "b"));
  EXPECT_THAT(wire_.finished, IsEmpty());
  Written();
  EXPECT_THAT(wire_.finished, ElementsAre(absl::OkStatus()));
  pace_->OnEvents();
  pace_->OnCancelled();
  pace_->Close(absl::UnavailableError("late"), /*more=*/0);
  Settle();
  EXPECT_EQ(1, wire_.finished.size());
  pace_->OnOver();
  EXPECT_EQ(StreamEnd::kServer, script_.over);
}

// The message comes after the source has looked and before it has answered.
TEST_F(StreamPaceTest, WhatComesBehindTheSourcesBackIsSent) {
  class Late final : public MessageSource {
   public:
    Pulled Pull(const std::shared_ptr<EventWatcher>& waker) override {
      if (asked_++ > 0) return {"late", std::nullopt};
      waker->OnEvents();
      return {};
    }

   private:
    int asked_ = 0;
  };
  pace_->Begin(std::make_unique<Late>());
  Settle();
  EXPECT_THAT(wire_.written, ElementsAre("late"));
}

TEST_F(StreamPaceTest, HoweverOftenItIsWokenItHasOneTaskInThePool) {
  std::promise<void> busy, go;
  pool_.Post("t", [&] {
    busy.set_value();
    go.get_future().wait();
  });
  busy.get_future().wait();
  Begin();
  for (int i = 0; i < 1000; ++i) pace_->OnEvents();
  EXPECT_EQ(1, pool_.waiting());
  go.set_value();
  Settle();
}

TEST_F(StreamPaceTest, ACallerThatLeavesWhileTheSourceIsAskedGetsNothingMore) {
  std::promise<void> asked, go;
  script_.when_asked = [&] {
    asked.set_value();
    go.get_future().wait();
  };
  script_.Say("a");
  Begin();
  asked.get_future().wait();
  pace_->OnCancelled();
  EXPECT_THAT(wire_.finished, IsEmpty());  // never beside a question
  go.set_value();
  Settle();
  EXPECT_THAT(wire_.written, IsEmpty());
  ASSERT_EQ(1, wire_.finished.size());
  EXPECT_TRUE(absl::IsCancelled(wire_.finished[0]));
  pace_->OnOver();
  EXPECT_EQ(StreamEnd::kCallerLeft, script_.over);
}

TEST_F(StreamPaceTest, ABrokenConnectionIsTheCallersLeaving) {
  script_.Say("a");
  Begin();
  Settle();
  Written(/*ok=*/false);
  pace_->OnCancelled();
  ASSERT_EQ(1, wire_.finished.size());
  pace_->OnOver();
  EXPECT_EQ(StreamEnd::kCallerLeft, script_.over);
}

TEST_F(StreamPaceTest, ACutIsTheServersAct) {
  script_.Say("a");
  Begin();
  Settle();
  const auto begin = clock_.Now();
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_FALSE(pace_->StalledSince(begin));
  EXPECT_TRUE(pace_->StalledSince(begin + std::chrono::seconds(1)));
  pace_->Cut();
  EXPECT_FALSE(pace_->StalledSince(begin + std::chrono::seconds(1)));  // once
  Settle();
  EXPECT_EQ(1, wire_.cancelled);
  EXPECT_THAT(wire_.finished, IsEmpty());
  pace_->OnCancelled();  // as gRPC answers
  Written(/*ok=*/false);
  ASSERT_EQ(1, wire_.finished.size());
  EXPECT_TRUE(absl::IsCancelled(wire_.finished[0]));
  pace_->OnOver();
  EXPECT_EQ(StreamEnd::kServer, script_.over);
}

TEST_F(StreamPaceTest, NothingStallsThatIsNotBeingWritten) {
  script_.Say("a");
  Begin();
  Settle();
  Written();
  clock_.Advance(std::chrono::hours(1));
  EXPECT_FALSE(pace_->StalledSince(clock_.Now()));
}

TEST_F(StreamPaceTest, AtShutdownWhatIsThereIsToldFirstAndALeavingIsNone) {
  Begin();
  Settle();
  script_.Say("a");
  script_.Say("b");
  script_.Say("c");
  pace_->Close(absl::UnavailableError("draining"), /*more=*/2);
  Settle();
  Written();
  EXPECT_THAT(wire_.written, ElementsAre("a", "b"));
  EXPECT_THAT(wire_.finished, IsEmpty());
  pace_->OnCancelled();  // gRPC's own, when the time for last words is over
  Written(/*ok=*/false);
  EXPECT_THAT(wire_.finished, ElementsAre(absl::UnavailableError("draining")));
  pace_->OnOver();
  EXPECT_EQ(StreamEnd::kServer, script_.over);
}

TEST_F(StreamPaceTest, AClosedStreamEndsAfterItsMessagesOrAtOnce) {
  script_.Say("a");
  Begin();
  Settle();
  pace_->Close(absl::UnavailableError("draining"), /*more=*/16);
  Written();
  EXPECT_THAT(wire_.finished, ElementsAre(absl::UnavailableError("draining")));
  // A refused one has no source, and gets none.
  PuppetWire other;
  const auto refused = std::make_shared<StreamPace>(StreamPace::Parts{other, pool_, clock_, "t"});
  refused->Close(absl::UnauthenticatedError("who"), /*more=*/0);
  EXPECT_THAT(other.finished, ElementsAre(absl::UnauthenticatedError("who")));
  script_.Say("b");
  refused->Begin(std::make_unique<ScriptedSource>(script_));
  Settle();
  EXPECT_THAT(other.written, IsEmpty());
}

// Many wake it while the wire answers from threads of its own: all messages, in order, once.
TEST(StreamPaceThreads, NoWakeIsLost) {
  constexpr int kMessages = 2000, kWakers = 3;
  class Answering final : public StreamWire {
   public:
    void Write(std::string message) override {
      written.push_back(std::stoi(message));
      answers.Post("wire", [this] { pace->OnWritten(true); });
    }
    void Finish(const absl::Status&) override { finished.set_value(); }
    void CancelCall() override {}
    std::vector<int> written;
    std::promise<void> finished;
    StreamPace* pace = nullptr;
    IoPool answers{{.threads = 1}};
  };
  Script script;
  FakeClock clock;
  Answering wire;
  IoPool pool({.threads = 4});
  const auto pace = std::make_shared<StreamPace>(StreamPace::Parts{wire, pool, clock, "t"});
  wire.pace = pace.get();
  pace->Begin(std::make_unique<ScriptedSource>(script));
  std::atomic<bool> done{false};
  std::vector<std::thread> wakers;
  for (int i = 0; i < kWakers; ++i) {
    wakers.emplace_back([&] {
      while (!done) pace->OnEvents();
    });
  }
  for (int i = 0; i < kMessages; ++i) {
    script.Say(std::to_string(i));
    pace->OnEvents();
  }
  script.End(absl::OkStatus());
  done = true;
  for (std::thread& waker : wakers) waker.join();
  pace->OnEvents();
  ASSERT_EQ(std::future_status::ready,
            wire.finished.get_future().wait_for(std::chrono::seconds(60)));
  pool.Stop();
  wire.answers.Stop();
  ASSERT_EQ(kMessages, wire.written.size());
  for (int i = 0; i < kMessages; ++i) ASSERT_EQ(i, wire.written[i]);
}

}  // namespace
}  // namespace cogwheel
