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

// Of a job that is half done.
v1::JobEvent ProgressEvent(int step, int steps, int seconds_left) {
  v1::JobEvent event;
  event.mutable_progress()->set_stage(v1::STAGE_DENOISE);
  event.mutable_progress()->set_step(step);
  event.mutable_progress()->set_steps(steps);
  event.mutable_progress()->set_fraction(0.5);
  if (seconds_left >= 0) event.mutable_progress()->mutable_time_left()->set_seconds(seconds_left);
  return event;
}

Terminal Plain(int columns) {
  return {.interactive = true, .columns = [columns] { return columns; }};
}
Terminal Pipe() { return {}; }

TEST(ProgressLine, ShowsThePartOfTheWholeJobAndTheStepOfItsStage) {
  const v1::Progress progress = ProgressEvent(3, 10, 67).progress();
  EXPECT_EQ(ProgressLine(progress, Plain(80)),
            "denoise ####################--------------------  50%  step 3/10     1:07 left");
  EXPECT_EQ(ProgressLine(progress, Pipe()), "denoise  50%  step 3/10  1:07 left");
  EXPECT_EQ(ProgressLine(ProgressEvent(10, 10, -1).progress(), Pipe()), "denoise  50%  step 10/10");
}

TEST(ProgressLine, GivesUpTheBarThenTheTimeThenTheStep) {
  const v1::Progress progress = ProgressEvent(3, 10, 67).progress();
  EXPECT_EQ(ProgressLine(progress, Plain(120)), ProgressLine(progress, Plain(80)));
  EXPECT_EQ(ProgressLine(progress, Plain(45)), "denoise ##---  50%  step 3/10     1:07 left");
  EXPECT_EQ(ProgressLine(progress, Plain(44)), "denoise  50%  step 3/10     1:07 left");
  EXPECT_EQ(ProgressLine(progress, Plain(40)), "denoise  50%  step 3/10     1:07 left");
  EXPECT_EQ(ProgressLine(progress, Plain(38)), "denoise  50%  step 3/10   ");
  EXPECT_EQ(ProgressLine(progress, Plain(26)), "denoise  50%");
  EXPECT_EQ(ProgressLine(progress, Plain(12)), "50%");
}

// What stands where must not depend on what there is to say, or the line would jump.
TEST(ProgressLine, NothingMovesWhateverStepsAndTimeAre) {
  for (const int columns : {40, 44, 60, 80, 120}) {
    const Terminal terminal = Plain(columns);
    const auto at = [&](int step, int steps, int left) {
      const std::string line = ProgressLine(ProgressEvent(step, steps, left).progress(), terminal);
      return std::pair(line.find('%'), line.find("step"));
    };
    const auto usual = at(3, 10, 67);
    for (const int left : {-1, 0, 59, 3599, 3600, 359'000}) {
      EXPECT_EQ(at(1, 2, left), usual) << columns << " " << left;
      EXPECT_EQ(at(200, 200, left), usual) << columns << " " << left;
    }
  }
}

TEST(ProgressLine, NeverFillsTheTerminal) {
  for (int columns = 5; columns < 200; ++columns) {
    for (const int left : {-1, 7, 3500, 359'000}) {
      const std::string line =
          ProgressLine(ProgressEvent(199, 200, left).progress(), Plain(columns));
      EXPECT_LT(line.size(), static_cast<size_t>(columns)) << line;
    }
  }
}

TEST(ProgressLine, SurvivesNonsense) {
  v1::Progress progress = ProgressEvent(5, 0, 0).progress();
  progress.set_fraction(7);
  EXPECT_THAT(ProgressLine(progress, Plain(60)), HasSubstr("100%"));
  EXPECT_THAT(ProgressLine(ProgressEvent(-3, 4, 0).progress(), Plain(60)), HasSubstr("step 0/4"));
}

TEST(ProgressLine, AServerThatSaysNoFractionHasOneBarToo) {
  v1::Progress progress;
  int last = -1;
  const auto percent_of = [&progress](v1::Stage stage, int step, int steps) {
    progress.set_stage(stage);
    progress.set_step(step);
    progress.set_steps(steps);
    const std::string line = ProgressLine(progress, Pipe());
    return std::stoi(line.substr(line.find("  ")));
  };
  for (const auto& [stage, steps] :
       {std::pair(v1::STAGE_TEXT_ENCODE, 1), {v1::STAGE_DENOISE, 50}, {v1::STAGE_DECODE, 2}}) {
    for (int step = 0; step <= steps; ++step) {
      const int percent = percent_of(stage, step, steps);
      EXPECT_GE(percent, last);
      last = percent;
    }
  }
  EXPECT_EQ(last, 99);
}

TEST(ProgressLine, ColoursAndBlocksOnlyWhereTheyCanBeShown) {
  const v1::JobEvent event = ProgressEvent(5, 10, 1);
  EXPECT_THAT(ProgressLine(event.progress(), Plain(60)), Not(HasSubstr("\x1b")));
  Terminal rich = Plain(80);
  rich.color = rich.unicode = true;
  EXPECT_THAT(ProgressLine(event.progress(), rich), HasSubstr("\x1b[32m\u2588"));
}

TEST(ShortTime, CountsHours) {
  EXPECT_EQ(ShortTime(seconds(0)), "0:00");
  EXPECT_EQ(ShortTime(seconds(59)), "0:59");
  EXPECT_EQ(ShortTime(seconds(754)), "12:34");
  EXPECT_EQ(ShortTime(seconds(3723)), "1h02");
  EXPECT_EQ(ShortTime(seconds(-5)), "0:00");
}

TEST(ProgressBar, RedrawsOneLineOnATerminal) {
  FakeClock clock;
  std::ostringstream out;
  {
    ProgressBar bar(clock, Plain(60), out);
    bar.Update(ProgressEvent(1, 2, 3));
    EXPECT_EQ(out.str().front(), '\r');
    EXPECT_EQ(out.str().back(), '\r') << "where a narrower window leaves the line's beginning";
    EXPECT_THAT(out.str(), Not(HasSubstr("\n")));
  }
  EXPECT_TRUE(out.str().ends_with("\r\x1b[J")) << "the line is taken away at the end";
}

TEST(ProgressBar, AsksForTheWidthEachTime) {
  FakeClock clock;
  std::ostringstream out;
  int columns = 80;
  ProgressBar bar(clock, {.interactive = true, .columns = [&columns] { return columns; }}, out);
  bar.Update(ProgressEvent(1, 2, 3));
  const std::string wide = out.str();
  EXPECT_THAT(wide, HasSubstr("###"));
  bar.Tick();
  EXPECT_EQ(out.str(), wide) << "nothing is new";
  columns = 40;
  bar.Tick();
  EXPECT_EQ(out.str().substr(wide.size()),
            "\r\x1b[?7ldenoise  50%  step 1/2      0:03 left\x1b[J\x1b[?7h\r");
  bar.Update(std::string(100, 'x'));
  EXPECT_TRUE(out.str().ends_with("l" + std::string(39, 'x') + "\x1b[J\x1b[?7h\r"));
}

TEST(ProgressBar, SaysAFirstWordWithinASecondElsewhereThenALineEveryFewSeconds) {
  FakeClock clock;
  std::ostringstream out;
  ProgressBar bar(clock, Pipe(), out);
  bar.Update("starting");
  clock.now += std::chrono::milliseconds(600);
  bar.Tick();
  EXPECT_EQ(out.str(), "") << "it may be over at once";
  clock.now += std::chrono::milliseconds(400);
  bar.Tick();
  EXPECT_EQ(out.str(), "starting\n");
  for (int step = 1; step <= 12; ++step) {
    bar.Update(ProgressEvent(step, 12, 12 - step));
    clock.now += seconds(1);
  }
  for (int i = 0; i < 50; ++i) bar.Tick();
  EXPECT_EQ(out.str(),
            "starting\n"
            "denoise  50%  step 6/12  0:06 left\n"
            "denoise  50%  step 11/12  0:01 left\n");
}

TEST(ProgressBar, AShortJobSaysNothingToAPipe) {
  FakeClock clock;
  std::ostringstream out;
  {
    ProgressBar bar(clock, Pipe(), out);
    bar.Update("starting");
    bar.Update(ProgressEvent(1, 1, 0));
    bar.Clear();
    clock.now += seconds(9);
    bar.Tick();
  }
  EXPECT_EQ(out.str(), "");
}

TEST(ProgressBar, TellsThePlaceInTheQueueAndASecondAttempt) {
  FakeClock clock;
  std::ostringstream out;
  ProgressBar bar(clock, Plain(60), out);
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
  return DescribeTerminal(is_terminal,
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
}

}  // namespace
}  // namespace cogwheel
