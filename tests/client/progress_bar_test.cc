#include "client/progress_bar.h"

#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

class FakeClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() const override { return now; }
  std::chrono::system_clock::time_point Wall() const override { return {}; }

  std::chrono::steady_clock::time_point now;
};

v1::JobEvent ProgressEvent(int step, int steps, int seconds_left) {
  v1::JobEvent event;
  event.mutable_progress()->set_stage(v1::STAGE_DENOISE);
  event.mutable_progress()->set_step(step);
  event.mutable_progress()->set_steps(steps);
  if (seconds_left >= 0) event.mutable_progress()->mutable_time_left()->set_seconds(seconds_left);
  return event;
}

constexpr Terminal kPlainTerminal = {.interactive = true, .columns = 60};
constexpr Terminal kPipe = {};

TEST(ProgressLine, ShowsStagePercentStepAndTimeLeft) {
  EXPECT_EQ(ProgressLine(ProgressEvent(3, 10, 67).progress(), kPlainTerminal),
            "denoise     ######--------------  30%  step 3/10  1:07 left");
  EXPECT_EQ(ProgressLine(ProgressEvent(3, 10, 67).progress(), kPipe),
            "denoise  30%  step 3/10  1:07 left");
  EXPECT_EQ(ProgressLine(ProgressEvent(10, 10, -1).progress(), kPipe), "denoise 100%  step 10/10");
}

TEST(ProgressLine, NeverFillsTheTerminal) {
  for (int columns = 20; columns < 200; ++columns) {
    const Terminal terminal = {.interactive = true, .columns = columns};
    const std::string line = ProgressLine(ProgressEvent(199, 200, 3700).progress(), terminal);
    EXPECT_LT(line.size(), static_cast<size_t>(std::max(columns, 21))) << columns;
  }
}

TEST(ProgressLine, SurvivesNonsense) {
  EXPECT_THAT(ProgressLine(ProgressEvent(5, 0, 0).progress(), kPlainTerminal), HasSubstr("100%"));
  EXPECT_THAT(ProgressLine(ProgressEvent(-3, 4, 0).progress(), kPlainTerminal), HasSubstr(" 0%"));
}

TEST(ProgressLine, ColoursAndBlocksOnlyWhereTheyCanBeShown) {
  const v1::JobEvent event = ProgressEvent(5, 10, 1);
  EXPECT_THAT(ProgressLine(event.progress(), kPlainTerminal), Not(HasSubstr("\x1b")));
  const Terminal rich = {.interactive = true, .color = true, .unicode = true, .columns = 80};
  EXPECT_THAT(ProgressLine(event.progress(), rich), HasSubstr("\x1b[32m\u2588"));
}

TEST(ShortTime, CountsHours) {
  EXPECT_EQ(ShortTime(seconds(0)), "0:00");
  EXPECT_EQ(ShortTime(seconds(59)), "0:59");
  EXPECT_EQ(ShortTime(seconds(754)), "12:34");
  EXPECT_EQ(ShortTime(seconds(3723)), "1:02:03");
  EXPECT_EQ(ShortTime(seconds(-5)), "0:00");
}

TEST(ProgressBar, RedrawsOneLineOnATerminal) {
  FakeClock clock;
  std::ostringstream out;
  {
    ProgressBar bar(clock, kPlainTerminal, out);
    bar.Update(ProgressEvent(1, 2, 3));
    EXPECT_EQ(out.str().front(), '\r');
    EXPECT_THAT(out.str(), Not(HasSubstr("\n")));
  }
  EXPECT_TRUE(out.str().ends_with("\r\x1b[K")) << "the line is taken away at the end";
}

TEST(ProgressBar, WritesALineEveryFewSecondsElsewhere) {
  FakeClock clock;
  std::ostringstream out;
  ProgressBar bar(clock, kPipe, out);
  for (int step = 1; step <= 12; ++step) {
    bar.Update(ProgressEvent(step, 12, 12 - step));
    clock.now += seconds(1);
  }
  // Due 5 s after the start and 5 s after the line before.
  EXPECT_EQ(out.str(),
            "denoise  50%  step 6/12  0:06 left\n"
            "denoise  91%  step 11/12  0:01 left\n");
}

TEST(ProgressBar, AShortJobSaysNothingToAPipe) {
  FakeClock clock;
  std::ostringstream out;
  {
    ProgressBar bar(clock, kPipe, out);
    bar.Update("loading the model");
    bar.Update(ProgressEvent(1, 1, 0));
  }
  EXPECT_EQ(out.str(), "");
}

TEST(ProgressBar, TellsThePlaceInTheQueueAndASecondAttempt) {
  FakeClock clock;
  std::ostringstream out;
  ProgressBar bar(clock, kPlainTerminal, out);
  v1::JobEvent event;
  event.mutable_queued()->set_position(3);
  bar.Update(event);
  EXPECT_THAT(out.str(), HasSubstr("queued, 2 before it"));
  event.mutable_started();
  event.set_attempt(2);
  bar.Update(event);
  EXPECT_THAT(out.str(), HasSubstr("attempt 2"));
}

Terminal Described(bool is_terminal, std::map<std::string, std::string> variables) {
  return DescribeTerminal(is_terminal, 100,
                          [&](const char* name) { return variables[std::string(name)]; });
}

TEST(DescribeTerminal, FollowsTheEnvironment) {
  EXPECT_TRUE(Described(true, {{"TERM", "xterm"}}).interactive);
  EXPECT_TRUE(Described(true, {{"TERM", "xterm"}}).color);
  EXPECT_FALSE(Described(false, {{"TERM", "xterm"}}).interactive);
  EXPECT_FALSE(Described(true, {{"TERM", "dumb"}}).interactive);
  EXPECT_FALSE(Described(true, {}).interactive);
  EXPECT_FALSE(Described(true, {{"TERM", "xterm"}, {"NO_COLOR", "1"}}).color);
  EXPECT_TRUE(Described(true, {{"TERM", "xterm"}, {"NO_COLOR", "1"}}).interactive);
  EXPECT_TRUE(Described(true, {{"LANG", "C.UTF-8"}}).unicode);
  EXPECT_FALSE(Described(true, {{"LC_ALL", "C"}, {"LANG", "C.UTF-8"}}).unicode);
  EXPECT_EQ(Described(true, {}).columns, 100);
}

}  // namespace
}  // namespace cogwheel
