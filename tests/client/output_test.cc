#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "client/job_follower.h"
#include "client/json_output.h"
#include "client/local_time.h"
#include "client/state_words.h"
#include "client/text_output.h"
#include "client/text_table.h"
#include "client/video_writer.h"

namespace cogwheel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

v1::JobEvent Event(int64_t sequence) {
  v1::JobEvent event;
  event.set_job("jobs/0");
  event.set_sequence(sequence);
  event.set_attempt(1);
  event.mutable_time()->set_seconds(1'700'000'000);
  return event;
}

TEST(JsonLine, PrintsEveryPrimitiveFieldUnderItsOwnName) {
  v1::JobEvent event = Event(int64_t{1} << 32);
  event.mutable_progress()->set_stage(v1::STAGE_DENOISE);
  event.mutable_progress()->set_steps(10);
  event.mutable_progress()->mutable_time_left()->set_seconds(7);
  event.mutable_progress()->set_fraction(0.25);
  const auto expected = nlohmann::json::parse(R"({
      "job": "jobs/0", "sequence": "4294967296", "attempt": 1, "time": "2023-11-14T22:13:20Z",
      "progress": {"stage": "STAGE_DENOISE", "step": 0, "steps": 10, "time_left": "7s",
                   "fraction": 0.25}})");
  EXPECT_EQ(nlohmann::json::parse(JsonLine(event)), expected);
  EXPECT_EQ(nlohmann::json::parse(JsonLineWithoutPayload(event)), expected);
}

// True protobuf JSON: a number of bytes in place of bytes would be none.
TEST(JsonLine, PayloadsAreLeftOut) {
  v1::JobEvent event = Event(2);
  event.mutable_preview()->set_jpeg(std::string(1234, '\xff'));
  event.mutable_preview()->set_step(4);
  EXPECT_EQ(nlohmann::json::parse(JsonLineWithoutPayload(event)), nlohmann::json::parse(R"({
      "job": "jobs/0", "sequence": "2", "attempt": 1, "time": "2023-11-14T22:13:20Z",
      "preview": {"step": 4, "steps": 0}})"));
  event.mutable_preview()->set_jpeg("abc");
  EXPECT_EQ(nlohmann::json::parse(JsonLine(event))["preview"]["jpeg"], "YWJj");

  event.mutable_chunk()->set_data("abc");
  event.mutable_chunk()->set_offset(5'000'000'000);
  event.mutable_chunk()->set_media_type("video/mp4");
  event.mutable_chunk()->set_last(true);
  event.mutable_chunk()->set_size_bytes(5'000'000'003);
  event.mutable_chunk()->set_sha256("ab");
  EXPECT_EQ(nlohmann::json::parse(JsonLineWithoutPayload(event))["chunk"],
            nlohmann::json::parse(R"({"offset":"5000000000","last":true,"sha256":"ab",
                                      "size_bytes":"5000000003","media_type":"video/mp4"})"));
}

TEST(JsonLine, EveryMessageIsOneLine) {
  v1::Job job;
  job.set_name("jobs/0");
  job.mutable_request()->set_prompt("two\nlines and \"quotes\"");
  job.mutable_request()->set_seed(18446744073709551615u);
  const std::string line = JsonLine(job);
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["request"]["seed"], "18446744073709551615");
  EXPECT_EQ(json["request"]["prompt"], "two\nlines and \"quotes\"");
  EXPECT_EQ(json["size_bytes"], "0");
  EXPECT_EQ(json["state"], "JOB_STATE_UNSPECIFIED");
}

TEST(TextOutput, RowsStayOneLine) {
  v1::Job job;
  job.set_name("jobs/0");
  job.set_state(v1::QUEUED);
  job.mutable_request()->set_prompt("a\nb\x1b[2J" + std::string(200, 'x'));
  const std::string table = JobTable({job}, /*now_seconds=*/0, /*columns=*/0);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 2);
  EXPECT_THAT(table, Not(HasSubstr("\x1b")));
  EXPECT_THAT(table, HasSubstr("queued"));
  EXPECT_EQ(JobLine(job), "jobs/0 queued\n");
}

v1::Job JobOf(const char* name, v1::JobState state, int64_t created, const char* prompt) {
  v1::Job job;
  job.set_name(name);
  job.set_state(state);
  job.mutable_create_time()->set_seconds(created);
  job.mutable_request()->set_prompt(prompt);
  return job;
}

TEST(TextOutput, JobsStandUnderHeadersWithAgeAndProgress) {
  setenv("TZ", "CET-1", /*replace=*/1);
  constexpr int64_t kNow = 1'700'000'000;  // 2023-11-14 22:13:20 UTC, 23:13:20 there
  std::vector<v1::Job> jobs = {JobOf("jobs/4", v1::QUEUED, kNow - 3, "d"),
                               JobOf("jobs/3", v1::RUNNING, kNow - 130, "c"),
                               JobOf("jobs/2", v1::SUCCEEDED, kNow - 7200, "b"),
                               JobOf("jobs/1", v1::FAILED, kNow - 86'400, "a")};
  jobs[0].set_queue_position(3);
  jobs[1].mutable_progress()->set_fraction(0.416);
  EXPECT_EQ(JobTable(jobs, kNow, /*columns=*/80),
            "JOB     STATE      CREATED           PROGRESS  PROMPT\n"
            "jobs/4  queued     just now          place 3   d\n"
            "jobs/3  running    2 min ago         42 %      c\n"
            "jobs/2  succeeded  today 21:13                 b\n"
            "jobs/1  failed     2023-11-13 23:13            a\n");
  jobs[1].mutable_progress()->set_step(7);
  jobs[1].mutable_progress()->set_steps(16);
  jobs[1].mutable_progress()->mutable_time_left()->set_seconds(12);
  const std::string text = JobText(jobs[1], kNow);
  EXPECT_THAT(text, HasSubstr("progress     42 %, step 7 of 16, 12 s left\n"));
  EXPECT_THAT(text, HasSubstr("created      2023-11-14 23:11:10 +0100 (2 min ago)\n"));
  unsetenv("TZ");
}

TEST(TextOutput, AnAgeIsInItsLargestUnit) {
  constexpr int64_t kNow = 1'700'000'000;
  const auto age = [](int64_t seconds) {
    google::protobuf::Timestamp then;
    then.set_seconds(kNow - seconds);
    return Age(then, kNow);
  };
  EXPECT_EQ(age(-60), "just now");  // of a clock that is ahead
  EXPECT_EQ(age(4), "just now");
  EXPECT_EQ(age(59), "59 s ago");
  EXPECT_EQ(age(60), "1 min ago");
  EXPECT_EQ(age(3599), "59 min ago");
  EXPECT_EQ(age(3600), "1 h ago");
  EXPECT_EQ(age(86'399), "23 h ago");
  EXPECT_EQ(age(86'400), "1 day ago");
  EXPECT_EQ(age(2 * 86'400), "2 days ago");
}

TEST(TextOutput, ColumnsAreAsWideAsTheirCharacters) {
  EXPECT_EQ(TextTable({{"A", "B"}, {"\u00e4\u00e4", "x"}, {"aaa", "y"}}, /*columns=*/0),
            "A    B\n"
            "\u00e4\u00e4   x\n"
            "aaa  y\n");
}

TEST(TextOutput, NoLineOfATableIsWiderThanTheTerminal) {
  const std::string word(300, 'x');
  const v1::Job job = JobOf("jobs/01kb0000000000000000000000", v1::RUNNING, 0, word.c_str());
  for (const int columns : {90, 120, 200}) {
    const std::string table = JobTable({job}, /*now_seconds=*/0, columns);
    EXPECT_EQ(table.size() - table.find('\n') - 2, columns);
  }
  // Where there is no room the prompt's beginning is shown all the same.
  EXPECT_THAT(JobTable({job}, 0, 40), HasSubstr("  " + std::string(17, 'x') + "...\n"));
}

TEST(TextOutput, CutsBetweenCharacters) {
  v1::Job job;
  for (int i = 0; i < 40; ++i) job.mutable_request()->mutable_prompt()->append("\u00e4");
  const std::string row = JobTable({job}, /*now_seconds=*/0, /*columns=*/40);
  const size_t dots = row.find("...");
  ASSERT_NE(dots, std::string::npos);
  EXPECT_EQ(row.substr(dots - 2, 2), "\u00e4");
}

TEST(TextOutput, ShowsTheCheckpointsOfANameAndAJob) {
  v1::Model model;
  model.set_digest("aa");
  model.add_serving_digests("aa");
  EXPECT_THAT(ModelText(model), Not(HasSubstr("served are")));
  model.add_serving_digests("bb");
  EXPECT_THAT(ModelText(model), HasSubstr("served are   aa, bb\n"));
  v1::Group group;
  group.set_model("tiny");
  group.set_model_digest("0123456789abcdef");
  group.add_ranks();
  EXPECT_THAT(GroupText(group), HasSubstr("model tiny 0123456789ab  mesh"));
  v1::Job job;
  EXPECT_THAT(JobText(job, 0), Not(HasSubstr("digest")));
  job.set_model_digest("aa");
  job.add_warnings("two\nlines");
  EXPECT_THAT(JobText(job, 0), AllOf(HasSubstr("digest       aa\n"), HasSubstr("two lines\n")));
  EXPECT_EQ(WarningLine("two\nlines \n"), "cogwheel: warning: two lines\n");
}

TEST(TextOutput, NamesWhatMatters) {
  v1::Group group;
  group.set_name("default");
  group.set_ready(true);
  group.mutable_mesh()->set_cfg(1);
  group.mutable_mesh()->set_ring(2);
  group.mutable_mesh()->set_ulysses(2);
  group.add_ranks()->set_state(v1::RANK_BUSY);
  group.mutable_ranks(0)->set_host("box");
  group.mutable_ranks(0)->set_device("cpu");
  EXPECT_EQ(GroupText(group),
            "default  ready  model   mesh 2 ulysses x 2 ring  epoch 0\n"
            "  RANK  STATE  HOST  DEVICE\n"
            "  0     busy   box   cpu\n");
  group.mutable_ranks(0)->set_host("\x1b[2J");
  EXPECT_THAT(GroupText(group), Not(HasSubstr("\x1b")));
  group.clear_ranks();
  group.clear_mesh();
  EXPECT_THAT(GroupText(group), AllOf(HasSubstr("no ranks"), Not(HasSubstr("mesh"))));
  v1::Model model;
  model.set_name("shapes");
  model.mutable_limits()->set_image_required(true);
  EXPECT_THAT(ModelText(model), HasSubstr("shapes (no group now)"));
  EXPECT_THAT(ModelText(model), HasSubstr("needs an image"));
  EXPECT_THAT(ModelText(model), AllOf(Not(HasSubstr("draws")), Not(HasSubstr("try"))));
  model.set_description("moving shapes");
  model.add_sample_prompts("a red star");
  EXPECT_THAT(ModelText(model), HasSubstr("draws        moving shapes\ntry          a red star\n"));
  v1::Job job;
  job.mutable_error()->set_reason("RANK_DIED");
  job.mutable_error()->set_message("rank 2 ended");
  EXPECT_THAT(JobText(job, 0), HasSubstr("RANK_DIED: rank 2 ended"));
  job.set_attempt(1);  // a server that started again counted on
  EXPECT_THAT(JobText(job, 0), Not(HasSubstr("run by")));
  job.mutable_start_time()->set_seconds(1'700'000'000);
  job.set_group("g");
  EXPECT_THAT(JobText(job, 0), HasSubstr("group g, epoch 0, attempt 1"));
}

TEST(Words, EveryStateHasItsOwn) {
  std::set<std::string> words;
  for (int state = v1::QUEUED; state <= v1::EXPIRED; ++state) {
    words.insert(StateWord(static_cast<v1::JobState>(state)));
  }
  EXPECT_EQ(words.size(), 6);
  EXPECT_EQ(StateWord(v1::RANK_SUSPECT), "silent");
  EXPECT_EQ(StateWord(static_cast<v1::JobState>(99)), "unknown");
  EXPECT_EQ(HealthWords("NOT_SERVING"), "not serving");
  v1::Mesh mesh;
  EXPECT_EQ(MeshWords(mesh), "1 rank");
  mesh.set_cfg(2);
  mesh.set_ulysses(3);
  EXPECT_EQ(MeshWords(mesh), "3 ulysses x 2 cfg");
}

class FollowerTest : public ::testing::Test {
 protected:
  JobFollower Follower(OutputWriter* writer) { return JobFollower({&json_}, bar_, writer); }

  SystemClock clock_;
  std::ostringstream json_, progress_;
  ProgressBar bar_{clock_, Terminal{}, progress_};
};

TEST_F(FollowerTest, RemembersHowAJobEnded) {
  JobFollower follower = Follower(nullptr);
  EXPECT_TRUE(follower.Handle(Event(1)).ok());
  EXPECT_EQ(follower.job(), "jobs/0");
  v1::JobEvent failed = Event(2);
  failed.mutable_failed()->mutable_error()->set_message("rank 2 ended");
  EXPECT_TRUE(follower.Handle(failed).ok());
  EXPECT_EQ(follower.Result().exit_code, ExitCode::kFailed);
  EXPECT_EQ(follower.Result().failure, "jobs/0 failed: rank 2 ended");
  const std::string lines = json_.str();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
}

TEST_F(FollowerTest, ASnapshotOfAFinishedJobCounts) {
  JobFollower follower = Follower(nullptr);
  v1::JobEvent event = Event(9);
  event.mutable_snapshot()->set_state(v1::SUCCEEDED);
  event.mutable_snapshot()->set_size_bytes(5);
  EXPECT_TRUE(follower.Handle(event).ok());
  EXPECT_EQ(follower.Result().exit_code, ExitCode::kDone);
  EXPECT_EQ(follower.succeeded().size_bytes(), 5);
}

TEST_F(FollowerTest, ANewAttemptStartsTheFileAnew) {
  auto writer = VideoWriter::Create(::testing::TempDir() + "/follower_test.mp4");
  ASSERT_TRUE(writer.ok()) << writer.status();
  JobFollower follower = Follower(writer->get());
  v1::JobEvent event = Event(1);
  event.mutable_chunk()->set_data("first attempt");
  EXPECT_TRUE(follower.Handle(event).ok());
  EXPECT_EQ((*writer)->size(), 13);
  event.set_attempt(2);
  event.mutable_chunk()->set_data("2nd");
  EXPECT_TRUE(follower.Handle(event).ok());
  EXPECT_EQ((*writer)->size(), 3);
  event.mutable_chunk()->set_offset(100);
  EXPECT_TRUE(follower.Handle(event).ok()) << "a gap is filled by a download later";
  EXPECT_EQ((*writer)->size(), 3);
}

TEST_F(FollowerTest, NothingOfALostAttemptStaysInTheResultOfAnother) {
  auto writer = VideoWriter::Create(::testing::TempDir() + "/follower_test_lost.mp4");
  ASSERT_TRUE(writer.ok()) << writer.status();
  JobFollower follower = Follower(writer->get());
  v1::JobEvent event = Event(1);
  event.mutable_chunk()->set_data("first attempt");
  EXPECT_TRUE(follower.Handle(event).ok());
  event.set_attempt(2);
  event.mutable_succeeded()->set_size_bytes(20);
  EXPECT_TRUE(follower.Handle(event).ok());
  EXPECT_EQ((*writer)->size(), 0) << "the second attempt's pieces came while nobody listened";
}

TEST_F(FollowerTest, AClosedStandardOutputEndsTheJob) {
  JobFollower follower = Follower(nullptr);
  json_.setstate(std::ios::badbit);
  EXPECT_TRUE(absl::IsFailedPrecondition(follower.Handle(Event(1))));
}

}  // namespace
}  // namespace cogwheel
