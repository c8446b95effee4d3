// What orders become of messages: of this release's frontends, of the one before, and of later
// ones.
#include "worker/rpc/wire_orders.h"

#include <limits>

#include <absl/strings/ascii.h>
#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
#include "tests/support/conversation.h"
#include "tests/support/request_fields.h"
#include "worker/pipeline/step_agreement.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::JobPlan;
using testing::HasSubstr;

constexpr Mesh kMesh{1, 2, 2};

JobPlan SomePlan() {
  JobPlan plan;
  plan.set_prompt("p");
  for (const auto set : {&JobPlan::set_frames, &JobPlan::set_height, &JobPlan::set_width,
                         &JobPlan::set_fps, &JobPlan::set_max_sequence_length}) {
    (plan.*set)(9);
  }
  plan.set_steps(50);
  plan.set_scheduler(internal::v1::SCHEDULER_DDIM);
  plan.set_output_type(internal::v1::OUTPUT_TYPE_VIDEO);
  return plan;
}

RunOrder OrderOf(const JobPlan& plan) {
  FrontendMessage message;
  message.mutable_run_job()->set_epoch(6);
  message.mutable_run_job()->set_job_sequence(2);
  message.mutable_run_job()->set_job("jobs/x");
  *message.mutable_run_job()->mutable_plan() = plan;
  return std::get<RunOrder>(ToOrder(std::move(message)).value());
}

TEST(PlanFields, EachIsInThePlansHashOrIsAnException) {
  const RunOrder order = OrderOf(SomePlan());
  ASSERT_TRUE(order.problem.ok()) << order.problem;
  const uint64_t hash = PlanHash(order.spec, kMesh);
  const auto& type = *JobPlan::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    JobPlan plan = SomePlan();
    Change(plan, type.field(i));
    const RunOrder changed = OrderOf(plan);
    EXPECT_TRUE(changed.problem.ok()) << type.field(i)->name() << ": " << changed.problem;
    EXPECT_EQ(IsException(kNotInPlanHash, type.field(i)->name()),
              PlanHash(changed.spec, kMesh) == hash)
        << type.field(i)->name();
  }
}

// The job is refused alone: the order comes, with its number and why.
TEST(WireOrders, AJobOfWhichNothingCanBeMadeComesWithItsProblem) {
  const auto problem = [](const std::function<void(JobPlan&)>& change) {
    JobPlan plan = SomePlan();
    change(plan);
    const RunOrder order = OrderOf(plan);
    EXPECT_EQ(2, order.spec.job_sequence);
    EXPECT_EQ(6, order.spec.epoch);
    EXPECT_EQ("jobs/x", order.spec.job);
    return order.problem;
  };
  const absl::Status scheduler = problem([](JobPlan& p) {
    p.set_scheduler(static_cast<internal::v1::Scheduler>(internal::v1::Scheduler_MAX + 1));
    p.set_scheduler_word("dpm");  // the word is not asked where there is a number
  });
  EXPECT_TRUE(absl::IsUnimplemented(scheduler));
  EXPECT_EQ("NOT_UNDERSTOOD", ErrorReason(scheduler));
  EXPECT_THAT(std::string(scheduler.message()), HasSubstr("does not know scheduler 3"));
  EXPECT_THAT(std::string(problem([](JobPlan& p) {
                            p.clear_scheduler();
                            p.set_scheduler_word("euler");
                          }).message()),
              HasSubstr("scheduler \"euler\""));
  EXPECT_TRUE(absl::IsUnimplemented(problem([](JobPlan& p) { p.clear_scheduler(); })));
  EXPECT_TRUE(absl::IsUnimplemented(problem([](JobPlan& p) { p.clear_output_type(); })));
  EXPECT_TRUE(absl::IsUnimplemented(problem([](JobPlan& p) {
    p.set_output_type(static_cast<internal::v1::OutputType>(internal::v1::OutputType_MAX + 1));
  })));
  for (const auto set :
       {&JobPlan::set_frames, &JobPlan::set_height, &JobPlan::set_width, &JobPlan::set_fps,
        &JobPlan::set_steps, &JobPlan::set_max_sequence_length}) {
    for (const int value : {0, -1, std::numeric_limits<int>::max()}) {
      EXPECT_EQ("BAD_PLAN", ErrorReason(problem([&](JobPlan& p) { (p.*set)(value); })));
    }
  }
  EXPECT_EQ("BAD_PLAN", ErrorReason(problem([](JobPlan& p) {
              p.set_guidance_scale(std::numeric_limits<double>::quiet_NaN());
            })));
  FrontendMessage empty;
  empty.mutable_run_job()->set_job_sequence(3);  // no plan
  EXPECT_FALSE(std::get<RunOrder>(ToOrder(empty).value()).problem.ok());
}

TEST(WireOrders, EveryValueOfAnEnumIsKnown) {
  for (int kind = 1; kind <= internal::v1::Scheduler_MAX; ++kind) {
    JobPlan plan = SomePlan();
    plan.set_scheduler(static_cast<internal::v1::Scheduler>(kind));
    EXPECT_TRUE(OrderOf(plan).problem.ok()) << kind;
  }
  for (int kind = 1; kind <= internal::v1::OutputType_MAX; ++kind) {
    JobPlan plan = SomePlan();
    plan.set_output_type(static_cast<internal::v1::OutputType>(kind));
    EXPECT_TRUE(OrderOf(plan).problem.ok()) << kind;
  }
}

// Frontends of protocol 1 read the word.
TEST(WireOrders, EveryStageHasItsNumberAndItsWord) {
  for (const Stage stage : {Stage::kTextEncode, Stage::kDenoise, Stage::kDecode}) {
    internal::v1::Progress progress;
    SetStage(stage, progress);
    EXPECT_NE(internal::v1::STAGE_UNSPECIFIED, progress.stage());
    EXPECT_EQ(internal::v1::Stage_Name(progress.stage()),
              "STAGE_" + absl::AsciiStrToUpper(progress.stage_word()));
  }
}

// A job that needs what no rank announces would wait for ever.
TEST(WireOrders, ARankAnnouncesEveryCapability) {
  const internal::v1::Hello hello = ToHello({});
  for (int each = 1; each <= internal::v1::Capability_MAX; ++each) {
    EXPECT_THAT(hello.capabilities(), testing::Contains(each));
  }
}

FrontendMessage Unknown(int field, const std::string& body) {
  FrontendMessage message;
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(field, body);
  return message;
}

TEST(WireOrders, AMessageOfUnknownKindIsAnsweredByItsNumberAndJob) {
  internal::v1::RunJob later;  // a job's offer in a form to come
  later.set_epoch(6);
  later.set_job_sequence(9);
  later.set_job("jobs/x");
  const FrontendMessage message = Unknown(31, later.SerializeAsString());
  EXPECT_TRUE(absl::IsUnimplemented(ToOrder(message).status()));
  const internal::v1::NotUnderstood answer = ToNotUnderstood(message);
  EXPECT_EQ(31, answer.field());
  EXPECT_EQ(6, answer.epoch());
  EXPECT_EQ(9, answer.job_sequence());
  EXPECT_EQ(kProtocol, answer.protocol());
  EXPECT_EQ(31, ToNotUnderstood(Unknown(31, "\xff")).field());
  EXPECT_EQ(0, ToNotUnderstood(Unknown(31, "\xff")).job_sequence());
  EXPECT_EQ(0, ToNotUnderstood(FrontendMessage()).field());
}

TEST(WireOrders, HelloSaysWhatIsSpoken) {
  RankIdentity identity;
  identity.wavefront_on_gpus = true;
  identity.model.default_scheduler = SchedulerKind::kDpm;
  identity.model.description = "one shape";
  identity.model.sample_prompts = {"a circle", "a star"};
  identity.model.vocabulary = {"a", "circle", "star"};
  const internal::v1::Hello hello = ToHello(identity);
  EXPECT_EQ(kProtocol, hello.protocol());
  EXPECT_EQ(kOldestProtocol, hello.oldest_protocol());
  EXPECT_TRUE(hello.wavefront_on_gpus());
  EXPECT_EQ(internal::v1::SCHEDULER_DPM, hello.model().default_scheduler());
  EXPECT_EQ("dpm", hello.model().default_scheduler_word());  // for a frontend of protocol 1
  EXPECT_EQ("one shape", hello.model().description());
  EXPECT_THAT(hello.model().sample_prompts(), testing::ElementsAre("a circle", "a star"));
  EXPECT_THAT(hello.model().vocabulary(), testing::ElementsAre("a", "circle", "star"));
}

// The release before, word for word: its frontend's side of a job is understood by today's ranks.
TEST(WireOrders, TheFrontendOfTheReleaseBeforeIsUnderstood) {
  std::map<int, int> orders;  // by the order's kind
  for (const Said& said : ReadConversation("protocol1.bin")) {
    if (said.by_rank || said.frontend_message.has_beat()) continue;
    ASSERT_NE(FrontendMessage::MESSAGE_NOT_SET, said.frontend_message.message_case());
    const absl::StatusOr<Order> order = ToOrder(said.frontend_message);
    ASSERT_TRUE(order.ok()) << order.status();
    ++orders[static_cast<int>(order->index())];
    if (const auto* run = std::get_if<RunOrder>(&*order)) {
      ASSERT_TRUE(run->problem.ok()) << run->problem;
      EXPECT_EQ("a red circle", run->spec.prompt);
      EXPECT_EQ(3, run->spec.steps);
      EXPECT_EQ(64, run->spec.height);
      EXPECT_EQ(11, run->spec.seed);
      EXPECT_EQ(OutputKind::kVideo, run->spec.output);
    }
  }
  EXPECT_THAT(orders, testing::ElementsAre(std::pair(0, 2), std::pair(1, 2), std::pair(2, 2)));
}

}  // namespace
}  // namespace cogwheel
