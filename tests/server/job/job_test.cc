#include "server/job/job.h"

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include "proto/contract/validate.h"
#include "server/job/job_name.h"
#include "server/job/needs.h"
#include "server/job/request_hash.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;

TEST(Job, TransitionsAreThoseOfTheTable) {
  const std::vector<JobState> states = {JobState::kQueued,    JobState::kRunning,
                                        JobState::kSucceeded, JobState::kFailed,
                                        JobState::kCancelled, JobState::kExpired};
  const std::map<JobState, std::string> legal = {{JobState::kQueued, "RFCE"},
                                                 {JobState::kRunning, "QSFCE"}};
  for (const JobState from : states) {
    for (const JobState to : states) {
      const auto row = legal.find(from);
      const bool expected =
          row != legal.end() && row->second.find(JobStateName(to)[0]) != std::string::npos;
      EXPECT_EQ(expected, IsLegalTransition(from, to))
          << JobStateName(from) << " -> " << JobStateName(to);
      EXPECT_FALSE(IsTerminal(from) && IsLegalTransition(from, to));
    }
  }
}

TEST(JobName, RisesWithinAMillisecondAndAgainstTheClock) {
  JobNamer namer;
  const std::chrono::system_clock::time_point now(milliseconds(1'700'000'000'000));
  std::string last = namer.Next(now);
  EXPECT_TRUE(NormalizeJobName(last).ok()) << last;
  EXPECT_EQ("jobs/01hf7yat00", last.substr(0, 15));  // 1,700,000,000,000 in base 32
  for (const milliseconds shift : {milliseconds(0), milliseconds(0), -milliseconds(5000),
                                   milliseconds(1), milliseconds(1), milliseconds(50)}) {
    const std::string next = namer.Next(now + shift);
    EXPECT_LT(last, next);
    last = next;
  }
}

v1::GenerateRequest SomeRequest() {
  v1::GenerateRequest request;
  request.set_prompt("p");
  request.set_steps(5);
  (*request.mutable_labels())["a"] = "b";
  (*request.mutable_labels())["c"] = "d";
  return request;
}

TEST(RequestHash, IsStableAndSeesEveryField) {
  const std::string hash = RequestHash(SomeRequest());
  EXPECT_EQ(64, hash.size());
  v1::GenerateRequest same;  // labels in another order
  (*same.mutable_labels())["c"] = "d";
  (*same.mutable_labels())["a"] = "b";
  same.set_steps(5);
  same.set_prompt("p");
  EXPECT_EQ(hash, RequestHash(same));
  const std::vector<std::function<void(v1::GenerateRequest&)>> changes = {
      [](auto& r) { r.set_prompt("q"); },
      [](auto& r) { r.set_steps(6); },
      [](auto& r) { r.set_negative_prompt("p"); },
      [](auto& r) { r.set_seed(0); },
      [](auto& r) { r.set_guidance_scale(6.0000000001); },
      [](auto& r) { r.set_scheduler(v1::SCHEDULER_DDIM); },
      [](auto& r) { r.set_dynamic_cfg(false); },
      [](auto& r) { r.mutable_deadline()->set_seconds(1); },
      [](auto& r) { (*r.mutable_labels())["a"] = "c"; },
      [](auto& r) { r.set_image("i"); },
      [](auto& r) { r.set_detach(true); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    v1::GenerateRequest changed = SomeRequest();
    changes[i](changed);
    EXPECT_NE(hash, RequestHash(changed)) << i;
  }
}

TEST(RequestHash, IsTheOneOfEarlierBuilds) {
  v1::GenerateRequest request;
  request.set_prompt("p");
  request.set_steps(5);
  // sha256("prompt:1:p\nsteps:1:5\n")
  EXPECT_EQ("4957bc6bafb1f552481b12e8f49d93f7e412c0b4f2775d2de2670bb89044083f",
            RequestHash(request));
  (*request.mutable_labels())["b"] = "";
  (*request.mutable_labels())["a"] = "c";
  request.mutable_deadline()->set_seconds(7);
  // sha256("prompt:1:p\nsteps:1:5\ndeadline:12:seconds:1:7\n\nlabel:1:a\nvalue:1:c\n"
  //        "label:1:b\nvalue:0:\n")
  EXPECT_EQ("364d2adfc796786c5daf18da640a9ae26a562bb3d94e5b9d76eb82a533af14dc",
            RequestHash(request));
}

// Types that no field of a request has yet.
TEST(CanonicalText, KnowsEveryTypeOfField) {
  google::protobuf::FloatValue real;
  real.set_value(0.1F);
  EXPECT_EQ("value:11:0.100000001\n", CanonicalText(real));
  google::protobuf::UInt32Value whole;
  whole.set_value(4'000'000'000U);
  EXPECT_EQ("value:10:4000000000\n", CanonicalText(whole));
  google::protobuf::FieldMask list;
  list.add_paths("a");
  list.add_paths("");
  EXPECT_EQ("paths:1:a\npaths:0:\n", CanonicalText(list));
  google::protobuf::Struct map;
  (*map.mutable_fields())["y"].set_bool_value(true);
  (*map.mutable_fields())["x"].set_number_value(2);
  const std::string x = "key:1:x\nvalue:17:number_value:1:2\n\n";
  const std::string y = "key:1:y\nvalue:18:bool_value:4:true\n\n";
  EXPECT_EQ("fields:" + std::to_string(x.size()) + ":" + x +
                "\nfields:" + std::to_string(y.size()) + ":" + y + "\n",
            CanonicalText(map));
}

TEST(Needs, NoRequestOfTodayNeedsWhatSomeGroupsLack) {
  EXPECT_TRUE(NeedsOf(SomeRequest()).empty());
  EXPECT_EQ("unspecified", CapabilityName(0));
  EXPECT_EQ("capability 99", CapabilityName(99));
}

}  // namespace
}  // namespace cogwheel
