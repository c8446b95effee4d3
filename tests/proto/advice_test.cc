// What a refusal calls the nearest legal value is accepted when it is given.
#include <cstdint>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "proto/contract/nearest_size.h"
#include "proto/contract/validate.h"
#include "tests/support/test_model.h"

namespace cogwheel {
namespace {

using testing::HasSubstr;
using v1::GenerateRequest;

v1::Model Shapes() {  // the shipped model's limits
  v1::Model model = TestModel("shapes");
  model.mutable_defaults()->set_frames(17);
  model.mutable_defaults()->set_height(96);
  model.mutable_defaults()->set_width(128);
  model.mutable_limits()->set_max_frames(17);
  model.mutable_limits()->set_max_area(96 * 128);
  model.mutable_limits()->set_max_height(768);
  model.mutable_limits()->set_max_width(768);
  model.mutable_limits()->set_max_steps(120);
  model.mutable_limits()->set_max_text_tokens(32);
  return model;
}

v1::Model Bounded() {  // as CogVideoX 1.5: each side has a limit of its own
  v1::Model model = TestModel("bounded");
  model.mutable_limits()->set_frames_multiple(16);
  model.mutable_limits()->set_max_frames(161);
  model.mutable_limits()->set_max_area(768 * 1360);
  model.mutable_limits()->set_max_height(768);
  model.mutable_limits()->set_max_width(1360);
  return model;
}

v1::Model Fixed() {
  v1::Model model = TestModel("fixed");
  model.mutable_limits()->set_fixed_shape(true);
  return model;
}

// Sets the field of this name from text; false where it has none.
bool Set(const std::string& field, const std::string& text, GenerateRequest& request) {
  if (field == "guidance_scale") {
    request.set_guidance_scale(std::stod(text));
    return true;
  }
  if (field == "deadline") {
    request.mutable_deadline()->set_seconds(std::stoll(text));
    request.mutable_deadline()->set_nanos(0);
    return true;
  }
  const auto* descriptor = GenerateRequest::descriptor()->FindFieldByName(field);
  if (descriptor == nullptr) return false;
  request.GetReflection()->SetInt32(&request, descriptor, std::stoi(text));
  return true;
}

// Does what the message says; false where it names no nearest legal value.
bool Follow(const std::string& message, GenerateRequest& request) {
  static const std::regex value("nearest legal value is (-?[0-9.]+)");
  static const std::regex size("nearest legal size is ([a-z]+) ([0-9]+), ([a-z]+) ([0-9]+)");
  std::smatch match;
  if (std::regex_search(message, match, value)) {
    return Set(message.substr(0, message.find(' ')), match[1], request);
  }
  if (!std::regex_search(message, match, size)) return false;
  return Set(match[1], match[2], request) && Set(match[3], match[4], request);
}

GenerateRequest RandomRequest(std::mt19937& random) {
  GenerateRequest request;
  request.set_prompt("a red circle");
  const int32_t numbers[] = {-2147483647, -16, -1,  0,   1,   8,    9,    15,   16,   17,  31,
                             33,          48,  50,  64,  97,  100,  120,  121,  161,  200, 201,
                             226,         240, 480, 500, 720, 1000, 1360, 2000, 4096, 5000};
  const auto any = [&] { return numbers[random() % std::size(numbers)]; };
  const auto some = [&] { return random() % 2 == 0; };
  if (some()) request.set_height(some() ? any() : 2147483647);
  if (some()) request.set_width(any());
  if (some()) request.set_frames(any());
  if (some()) request.set_steps(any());
  if (some()) request.set_max_sequence_length(any());
  if (some()) request.set_fps(any());
  if (some()) request.set_priority(any());
  if (some()) request.set_guidance_scale(any() * 0.5);
  if (some()) request.mutable_deadline()->set_seconds(std::int64_t{1} << (random() % 40));
  return request;
}

class Advice : public testing::TestWithParam<v1::Model> {};

TEST_P(Advice, TakenWholeIsAccepted) {
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    GenerateRequest request = RandomRequest(random);
    const std::string asked = request.ShortDebugString();
    const absl::Status first = ResolveRequest(request, GetParam(), /*random_seed=*/7).status();
    if (first.ok()) continue;
    ++refused;
    google::rpc::BadRequest bad;
    bad.ParseFromString(
        std::string(*first.GetPayload("type.googleapis.com/google.rpc.BadRequest")));
    for (const auto& violation : bad.field_violations()) {
      ASSERT_TRUE(Follow(violation.description(), request)) << violation.description();
    }
    const absl::Status then = ResolveRequest(request, GetParam(), /*random_seed=*/7).status();
    ASSERT_TRUE(then.ok()) << asked << "\nthen " << request.ShortDebugString() << "\n" << then;
  }
  EXPECT_GT(refused, 1500);
}

// As a person on a command line, who is shown one complaint at a time.
TEST_P(Advice, TakenOneByOneIsAccepted) {
  std::mt19937 random(2);
  for (int i = 0; i < 3000; ++i) {
    GenerateRequest request = RandomRequest(random);
    const std::string asked = request.ShortDebugString();
    std::string said;
    for (int turn = 0; turn < 10; ++turn) {
      const absl::Status status = ResolveRequest(request, GetParam(), /*random_seed=*/7).status();
      if (status.ok()) break;
      ASSERT_LT(turn, 9) << asked << said;
      const std::string message(status.message());
      said += "\n" + message;
      ASSERT_TRUE(Follow(message, request)) << message;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Advice, testing::Values(TestModel(), Shapes(), Bounded(), Fixed()),
                         [](const auto& info) { return info.param.name(); });

// Before the model is known no value is called legal that only some models take.
TEST(Advice, WithoutAModelHoldsForEveryModel) {
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    GenerateRequest request = RandomRequest(random);
    const std::string message(ValidateRequest(request).message());
    if (!Follow(message, request)) continue;
    for (const v1::Model& model : {TestModel(), Shapes(), Bounded(), Fixed()}) {
      const std::string then(ResolveRequest(request, model, /*random_seed=*/7).status().message());
      const std::string field = message.substr(0, message.find(' ') + 1);
      EXPECT_FALSE(then.starts_with(field)) << message << "\nthen " << then;
    }
  }
}

TEST(Advice, CogVideoXsSizeOnTheSmallModelKeepsItsShape) {
  GenerateRequest request;
  request.set_prompt("x");
  request.set_height(480);
  request.set_width(720);
  EXPECT_THAT(std::string(ResolveRequest(request, Shapes(), 7).status().message()),
              HasSubstr("height 480 with width 720 is 345600 pixels, more than the model's 12288; "
                        "the nearest legal size is height 96, width 128"));
}

// No legal size with both sides longer lies below the one asked for.
TEST(NearestSize, IsAsLargeAsItMayBe) {
  std::mt19937 random(4);
  for (const v1::Model& model : {TestModel(), Shapes(), Bounded()}) {
    const v1::ModelLimits& limits = model.limits();
    for (int i = 0; i < 5000; ++i) {
      const VideoSize asked = {static_cast<int64_t>(random() % 2000),
                               static_cast<int64_t>(random() % 2000)};
      const VideoSize nearest = NearestSize(asked, limits, false, false);
      ASSERT_LE(nearest.height * nearest.width, limits.max_area());
      ASSERT_TRUE(nearest.height % 16 == 0 && nearest.width % 16 == 0 && nearest.height > 0);
      ASSERT_LE(nearest.height, limits.max_height());
      ASSERT_LE(nearest.width, limits.max_width());
      const VideoSize larger = {nearest.height + 16, nearest.width + 16};
      EXPECT_FALSE(larger.height <= std::min<int64_t>(asked.height, limits.max_height()) &&
                   larger.width <= std::min<int64_t>(asked.width, limits.max_width()) &&
                   larger.height * larger.width <= limits.max_area())
          << asked.height << "x" << asked.width;
    }
  }
}

}  // namespace
}  // namespace cogwheel
