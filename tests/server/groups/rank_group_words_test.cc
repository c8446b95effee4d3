// Ranks of other releases: protocols, capabilities, and words that one side does not have.
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
#include "server/groups/membership.h"
#include "server/groups/rank_messages.h"
#include "tests/server/groups/rank_group_fixture.h"
#include "tests/support/conversation.h"

namespace cogwheel {
namespace {

using internal::v1::Hello;
using internal::v1::RankMessage;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Hello Speaking(int protocol, int oldest) {
  Hello hello = MakeHello("a", 0);
  hello.set_protocol(protocol);
  hello.set_oldest_protocol(oldest);
  return hello;
}

TEST(Protocol, TheLaterOneThatBothKnowIsSpoken) {
  EXPECT_EQ(1, SpokenProtocol(Speaking(0, 0)).value());  // the release before: it says nothing
  EXPECT_EQ(kProtocol, SpokenProtocol(Speaking(kProtocol, kOldestProtocol)).value());
  EXPECT_EQ(kProtocol, SpokenProtocol(Speaking(kProtocol + 1, kProtocol)).value());
}

TEST(Protocol, ARankWithNoneInCommonIsRefusedByBothNumbers) {
  const absl::Status newer = SpokenProtocol(Speaking(kProtocol + 1, kProtocol + 1)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(newer));  // the worker's exit code 2
  EXPECT_EQ("PROTOCOL", ErrorReason(newer));
  EXPECT_THAT(std::string(newer.message()),
              HasSubstr("a:cpu (local rank 0) speaks protocol 3, this server 1 to 2: update "
                        "cogwheel-server"));
  EXPECT_FALSE(SpokenProtocol(Speaking(kProtocol + 1, 0)).ok());  // it does not say that it can
  EXPECT_THAT(std::string(SpokenProtocol(Speaking(9, 8)).status().message()),
              HasSubstr("speaks protocol 8 to 9, this server"));
}

TEST_F(RankGroupTest, ARankOfAnotherProtocolIsRefusedAtItsGreeting) {
  const auto link = Join(1, Speaking(kProtocol + 1, kProtocol + 1));
  EXPECT_EQ("PROTOCOL", ErrorReason(link->closed.value()));
  EXPECT_THAT(board_.List(), IsEmpty());
}

TEST_F(RankGroupTest, RanksOfAGroupAgreeInProtocolCapabilitiesAndDecode) {
  Join(1, Speaking(2, 1));
  const auto refusal = [this](const std::function<void(Hello&)>& change) {
    Hello hello = MakeHello("a", 1);
    hello.set_protocol(2);
    hello.set_oldest_protocol(1);
    change(hello);
    return std::string(Join(9, hello)->closed.value_or(absl::OkStatus()).message());
  };
  EXPECT_THAT(refusal([](Hello& h) {
                h.clear_protocol();
                h.mutable_model()->clear_default_scheduler();
                h.mutable_model()->set_default_scheduler_word("dpm");
              }),
              HasSubstr("has protocol 1, rank a:cpu (local rank 0) of group g has 2"));
  EXPECT_THAT(
      refusal([](Hello& h) { h.add_capabilities(static_cast<internal::v1::Capability>(9)); }),
      HasSubstr("has capabilities [capability 9], rank"));
  EXPECT_THAT(refusal([](Hello& h) { h.set_wavefront_on_gpus(true); }),
              HasSubstr("has --wavefront-on-gpus true, rank a:cpu (local rank 0) of group g has "
                        "false"));
  EXPECT_EQ("", refusal([](Hello&) {}));
}

TEST_F(RankGroupTest, AGroupShowsItsCapabilities) {
  Hello hello = MakeHello("a", 0, /*ranks=*/1);
  for (const int each : {9, 7}) hello.add_capabilities(static_cast<internal::v1::Capability>(each));
  const auto link = Join(1, hello);
  Formed(1, link->last().assign().epoch());
  EXPECT_THAT(recorder_.groups.at("g")->capabilities(), ElementsAre(7, 9));
}

RankMessage NotUnderstood(int64_t epoch, int64_t sequence) {
  RankMessage message;
  message.mutable_not_understood()->set_epoch(epoch);
  message.mutable_not_understood()->set_job_sequence(sequence);
  message.mutable_not_understood()->set_field(12);
  message.mutable_not_understood()->set_protocol(2);
  return message;
}

TEST_F(RankGroupTest, AnOfferThatARankCannotReadIsRefusedAloneAndAtOnce) {
  Form();
  Run();
  Answer(2, 0);
  groups_.OnMessage(1, NotUnderstood(group_->epoch(), sequence_));
  EXPECT_THAT(recorder_.told, ElementsAre("refused", "idle"));  // no time has passed
  EXPECT_TRUE(absl::IsUnimplemented(recorder_.status));
  EXPECT_EQ("NOT_UNDERSTOOD", ErrorReason(recorder_.status));
  EXPECT_THAT(std::string(recorder_.status.message()),
              HasSubstr("a rank of group g speaks protocol 2 and does not know message 12"));
  EXPECT_TRUE(b_->last().has_drop_job());
  Start();
  groups_.OnMessage(1, NotUnderstood(group_->epoch(), sequence_ - 1));  // of an older job
  groups_.OnMessage(1, NotUnderstood(0, 0));                            // of none
  groups_.OnMessage(1, NotUnderstood(group_->epoch() + 1, sequence_));
  EXPECT_THAT(recorder_.told, IsEmpty());
  EXPECT_THAT(Fenced(), ElementsAre("not_understood: 1"));
}

// As a later release's message looks to this one.
RankMessage Unknown() {
  RankMessage message;
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(99, "x");
  return message;
}

TEST_F(RankGroupTest, WhatIsNotUnderstoodIsDroppedCountedAndLoggedOnceARank) {
  Form();
  Start();
  EXPECT_EQ(99, UnknownKind(Unknown()));
  testing::internal::CaptureStderr();
  groups_.OnMessage(1, Unknown());
  groups_.OnMessage(1, Unknown());
  groups_.OnMessage(2, Unknown());
  RankMessage progress;
  progress.mutable_progress()->set_epoch(group_->epoch());
  progress.mutable_progress()->set_job_sequence(sequence_);
  progress.mutable_progress()->set_steps(3);
  progress.mutable_progress()->set_stage(static_cast<internal::v1::Stage>(9));
  groups_.OnMessage(2, progress);
  progress.mutable_progress()->set_stage(internal::v1::STAGE_DECODE);
  progress.mutable_progress()->set_step(4);
  groups_.OnMessage(2, progress);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(Fenced(), ElementsAre("progress: 2", "unknown: 3"));
  EXPECT_EQ(2, std::count(log.begin(), log.end(), '\n')) << log;
  EXPECT_THAT(log, HasSubstr("\"unknown_field\":\"99\""));
  EXPECT_THAT(recorder_.told, IsEmpty());
}

TEST_F(RankGroupTest, AReportWithNumbersThatCannotBeFailsItsJobAlone) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const std::function<void(internal::v1::JobDone&)> bad[] = {
      [](auto& done) { done.set_denoise_seconds(kNaN); },
      [](auto& done) { done.set_encode_seconds(-1); },
      [](auto& done) { done.set_decode_seconds(std::numeric_limits<double>::infinity()); },
      [](auto& done) { done.set_text_encode_seconds(1e300); },
      [](auto& done) { done.set_size_bytes(-1); }};
  Form();
  for (const auto& spoil : bad) {
    Start();
    RankMessage message;
    auto& done = *message.mutable_job_done();
    done.set_epoch(group_->epoch());
    done.set_job_sequence(sequence_);
    spoil(done);
    groups_.OnMessage(2, message);
    Done(1, 0);
    EXPECT_THAT(recorder_.told, ElementsAre("finished", "idle"));
    EXPECT_EQ(absl::StatusCode::kInternal, recorder_.outcome.code);
    EXPECT_EQ("BAD_REPORT", recorder_.outcome.reason);
    EXPECT_EQ(0, recorder_.outcome.stage_seconds.denoise);
  }
}

// A word for it since protocol 2; before that it was told from the prose.
TEST(RankMessages, OutOfStepIsToldByReason) {
  internal::v1::JobDone done;
  done.set_message("out of step: rank 0 stands elsewhere");
  EXPECT_TRUE(IsOutOfStep(done, 1));
  EXPECT_FALSE(IsOutOfStep(done, 2));
  done.set_reason("OUT_OF_STEP");
  EXPECT_TRUE(IsOutOfStep(done, 2));
}

TEST(RankMessages, StagesAreReadFromTheirNumberOrFromProtocol1sWord) {
  internal::v1::Progress progress;
  const auto stage = [&progress] { return ToRunProgress(progress).value().stage; };
  EXPECT_FALSE(ToRunProgress(progress).ok());  // none
  progress.set_stage_word("decode");
  EXPECT_EQ(RunStage::kDecode, stage());
  progress.set_stage_word("upscale");
  EXPECT_FALSE(ToRunProgress(progress).ok());
  progress.set_stage(internal::v1::STAGE_TEXT_ENCODE);
  EXPECT_EQ(RunStage::kTextEncode, stage());
  progress.set_step(-1);
  EXPECT_FALSE(ToRunProgress(progress).ok());
}

TEST_F(RankGroupTest, AnOrderThatThisServerCannotSayIsRefusedBeforeTheRanksHearOfIt) {
  Form();
  const size_t sent = a_->sent.size();
  AttemptOrder order;
  order.request.set_output_type(v1::OUTPUT_TYPE_VIDEO);
  order.request.set_scheduler(static_cast<v1::Scheduler>(v1::Scheduler_MAX + 1));
  group_->Run(order);
  EXPECT_THAT(recorder_.told, ElementsAre("refused", "idle"));
  EXPECT_EQ(sent, a_->sent.size());
  Run();
  EXPECT_EQ(1, sequence_);  // the ranks' next
}

// The release before, word for word: its ranks' side of a job drives today's group.
TEST_F(RankGroupTest, RanksOfTheReleaseBeforeRunAJob) {
  std::string result;
  std::vector<std::shared_ptr<FakeLink>> links(2, nullptr);
  for (const Said& said : ReadConversation("protocol1.bin")) {
    if (!said.by_rank) {
      // The job is offered where the server of that release offered it.
      if (said.frontend_message.has_run_job() && said.rank == 0) {
        ASSERT_FALSE(recorder_.groups.empty());
        group_ = recorder_.groups.at("default");
        EXPECT_TRUE(group_->capabilities().empty());
        a_ = links[0];
        Run();
        ASSERT_EQ(said.frontend_message.run_job().job_sequence(), sequence_);
        ASSERT_EQ(said.frontend_message.run_job().epoch(), group_->epoch());
      }
      continue;
    }
    if (said.rank_message.has_hello()) {
      EXPECT_EQ(0, said.rank_message.hello().protocol());
      links[said.rank] = Join(said.rank + 1, said.rank_message.hello());
      continue;
    }
    if (said.rank_message.has_result_chunk()) result += said.rank_message.result_chunk().data();
    groups_.OnMessage(said.rank + 1, said.rank_message);
  }
  EXPECT_THAT(recorder_.told, testing::Contains("progress 3"));
  EXPECT_THAT(recorder_.told, testing::Contains("finished"));
  EXPECT_EQ(absl::StatusCode::kOk, recorder_.outcome.code) << recorder_.outcome.message;
  EXPECT_EQ(Sha256Hex(result), recorder_.outcome.result.sha256);
  EXPECT_GT(recorder_.outcome.stage_seconds.denoise, 0);
}

}  // namespace
}  // namespace cogwheel
