// No field of a request is accepted and then forgotten on its way to the ranks.
#include "tests/support/request_fields.h"

#include <absl/strings/ascii.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "server/groups/job_plan.h"
#include "server/job/needs.h"
#include "server/job/request_hash.h"

namespace cogwheel {
namespace {

using google::protobuf::FieldDescriptor;
using internal::v1::JobPlan;

v1::GenerateRequest Resolved() {
  v1::GenerateRequest request;
  request.set_prompt("p");
  request.set_output_type(v1::OUTPUT_TYPE_VIDEO);
  request.set_scheduler(v1::SCHEDULER_DDIM);
  request.set_frames(9);
  return request;
}

absl::StatusOr<JobPlan> PlanOf(const v1::GenerateRequest& request) {
  AttemptOrder order;
  order.job = "jobs/1";
  order.request = request;
  return ToJobPlan(order);
}

std::string Text(const JobPlan& plan, const FieldDescriptor* field) {
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(plan, field, -1, &text);
  return text;
}

TEST(RequestFields, EachReachesTheRanksOrIsAnException) {
  const JobPlan plan = PlanOf(Resolved()).value();
  const auto& request_type = *v1::GenerateRequest::descriptor();
  for (int i = 0; i < request_type.field_count(); ++i) {
    const FieldDescriptor* field = request_type.field(i);
    SCOPED_TRACE(field->name());
    v1::GenerateRequest request = Resolved();
    Change(request, field);
    const JobPlan changed = PlanOf(request).value();
    if (IsException(kNotInJobPlan, field->name())) {
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(plan, changed));
      continue;
    }
    const FieldDescriptor* there = JobPlan::descriptor()->FindFieldByName(field->name());
    ASSERT_NE(nullptr, there) << "is not in JobPlan";
    EXPECT_NE(Text(plan, there), Text(changed, there)) << "is not set by ToJobPlan";
  }
}

TEST(RequestFields, NothingInThePlanIsOfUnknownOrigin) {
  const auto& plan_type = *JobPlan::descriptor();
  for (int i = 0; i < plan_type.field_count(); ++i) {
    const std::string& name = plan_type.field(i)->name();
    const bool of_request = v1::GenerateRequest::descriptor()->FindFieldByName(name) != nullptr &&
                            !IsException(kNotInJobPlan, name);
    EXPECT_NE(of_request, IsException(kNotFromRequest, name)) << name;
  }
}

// Ranks of the release before read no later field: a job that sets one must wait for a group whose
// ranks can, else it would run as if it were not set.
TEST(RequestFields, WhatEarlierRanksWouldIgnoreIsNeededOfAGroup) {
  constexpr int kLastOfProtocol2 = 18;
  for (int i = 0; i < JobPlan::descriptor()->field_count(); ++i) {
    const FieldDescriptor* field = JobPlan::descriptor()->field(i);
    if (field->number() <= kLastOfProtocol2) continue;
    const FieldDescriptor* asked =
        v1::GenerateRequest::descriptor()->FindFieldByName(field->name());
    ASSERT_NE(nullptr, asked) << field->name();
    v1::GenerateRequest request = Resolved();
    Change(request, asked);
    EXPECT_FALSE(NeedsOf(request).empty()) << field->name() << " has no line in needs.cc";
  }
}

// What ranks of protocol 1 read: the values' names without their prefix.
TEST(RequestFields, EveryValueHasItsWord) {
  for (int kind = 1; kind <= v1::Scheduler_MAX; ++kind) {
    v1::GenerateRequest request = Resolved();
    request.set_scheduler(static_cast<v1::Scheduler>(kind));
    EXPECT_EQ(v1::Scheduler_Name(kind),
              "SCHEDULER_" + absl::AsciiStrToUpper(PlanOf(request)->scheduler_word()));
  }
  for (int type = 1; type <= v1::OutputType_MAX; ++type) {
    v1::GenerateRequest request = Resolved();
    request.set_output_type(static_cast<v1::OutputType>(type));
    EXPECT_EQ(v1::OutputType_Name(type),
              "OUTPUT_TYPE_" + absl::AsciiStrToUpper(PlanOf(request)->output_type_word()));
  }
}

TEST(RequestFields, ExceptionsAreFields) {
  for (const FieldException& each : kNotInJobPlan) {
    EXPECT_NE(nullptr, v1::GenerateRequest::descriptor()->FindFieldByName(each.field))
        << each.field;
  }
  for (const FieldException& each : kNotFromRequest) {
    EXPECT_NE(nullptr, JobPlan::descriptor()->FindFieldByName(each.field)) << each.field;
  }
  for (const FieldException& each : kNotInPlanHash) {
    EXPECT_NE(nullptr, JobPlan::descriptor()->FindFieldByName(each.field)) << each.field;
  }
}

TEST(RequestFields, EachIsInTheRequestsHash) {
  const std::string hash = RequestHash(Resolved());
  const auto& request_type = *v1::GenerateRequest::descriptor();
  for (int i = 0; i < request_type.field_count(); ++i) {
    v1::GenerateRequest request = Resolved();
    Change(request, request_type.field(i));
    EXPECT_NE(hash, RequestHash(request)) << request_type.field(i)->name();
  }
}

// All values that the API has go through; others are refused, never taken for one of them.
TEST(RequestFields, EveryValueOfAnEnumIsKnownOrRefused) {
  const auto status = [](int output_type, int scheduler) {
    v1::GenerateRequest request = Resolved();
    request.set_output_type(static_cast<v1::OutputType>(output_type));
    request.set_scheduler(static_cast<v1::Scheduler>(scheduler));
    return PlanOf(request).status();
  };
  for (int type = 1; type <= v1::OutputType_MAX; ++type) EXPECT_TRUE(status(type, 1).ok()) << type;
  for (int kind = 1; kind <= v1::Scheduler_MAX; ++kind) EXPECT_TRUE(status(1, kind).ok()) << kind;
  for (const absl::Status& refused : {status(0, 1), status(1, 0), status(v1::OutputType_MAX + 1, 1),
                                      status(1, v1::Scheduler_MAX + 1), status(-1, 1)}) {
    EXPECT_TRUE(absl::IsUnimplemented(refused));
    EXPECT_EQ("NOT_UNDERSTOOD", ErrorReason(refused));
  }
}

}  // namespace
}  // namespace cogwheel
