#include "proto/contract/validate.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "google/rpc/error_details.pb.h"
#include "proto/contract/status.h"
#include "tests/support/test_model.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using v1::GenerateRequest;
using Change = std::function<void(GenerateRequest&)>;

GenerateRequest Legal() {
  GenerateRequest request;
  request.set_prompt("a red circle");
  return request;
}

google::rpc::BadRequest BadRequestOf(const absl::Status& status) {
  google::rpc::BadRequest bad;
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  EXPECT_TRUE(payload.has_value()) << status;
  if (payload.has_value()) bad.ParseFromString(std::string(*payload));
  return bad;
}

absl::Status Check(const Change& change, const v1::Model& model = TestModel()) {
  GenerateRequest request = Legal();
  change(request);
  return ResolveRequest(request, model, /*random_seed=*/7).status();
}

struct Case {
  const char* name;
  Change legal, illegal;  // either side of the limit
  const char* field;
  const char* reason;
  const char* message;  // part of it, with the nearest legal value where there is one
};

class LimitTest : public testing::TestWithParam<Case> {};

TEST_P(LimitTest, HoldsAtBothSides) {
  const Case& test = GetParam();
  EXPECT_EQ(absl::OkStatus(), Check(test.legal));
  const absl::Status status = Check(test.illegal);
  EXPECT_EQ(absl::StatusCode::kInvalidArgument, status.code());
  EXPECT_EQ(test.reason, ErrorReason(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(test.message));
  const google::rpc::BadRequest bad = BadRequestOf(status);
  ASSERT_EQ(1, bad.field_violations_size()) << bad.ShortDebugString();
  EXPECT_EQ(test.field, bad.field_violations(0).field());
  EXPECT_EQ(status.message(), bad.field_violations(0).description());
}

std::string Repeat(int64_t bytes) { return std::string(static_cast<size_t>(bytes), 'x'); }

void AddLabels(GenerateRequest& request, int count) {
  for (int i = 0; i < count; ++i) (*request.mutable_labels())["k" + std::to_string(i)] = "v";
}

const std::vector<Case> kCases = {
    {"PromptLength", [](auto& r) { r.set_prompt(Repeat(16384)); },
     [](auto& r) { r.set_prompt(Repeat(16385)); }, "prompt", "PROMPT",
     "16385 bytes; at most 16384"},
    {"PromptEmpty", [](auto& r) { r.set_prompt("x"); }, [](auto& r) { r.clear_prompt(); }, "prompt",
     "PROMPT", "is empty"},
    {"PromptUtf8", [](auto& r) { r.set_prompt("\xc3\xa9 \xf0\x9f\x98\x80 \xed\x9f\xbf"); },
     [](auto& r) { r.set_prompt("ab\xff"); }, "prompt", "PROMPT", "UTF-8 at byte 2"},
    {"PromptSurrogate", [](auto& r) { r.set_prompt("\xee\x80\x80"); },
     [](auto& r) { r.set_prompt("\xed\xa0\x80"); }, "prompt", "PROMPT", "UTF-8 at byte 0"},
    {"PromptOverlong", [](auto& r) { r.set_prompt("\xc2\x80"); },
     [](auto& r) { r.set_prompt("\xc1\xbf"); }, "prompt", "PROMPT", "UTF-8 at byte 0"},
    {"PromptCutShort", [](auto& r) { r.set_prompt("\xe2\x82\xac"); },
     [](auto& r) { r.set_prompt("a\xe2\x82"); }, "prompt", "PROMPT", "UTF-8 at byte 1"},
    {"NegativePromptLength", [](auto& r) { r.set_negative_prompt(Repeat(16384)); },
     [](auto& r) { r.set_negative_prompt(Repeat(16385)); }, "negative_prompt", "PROMPT", "16385"},
    {"FramesForm", [](auto& r) { r.set_frames(17); }, [](auto& r) { r.set_frames(20); }, "frames",
     "FRAME_COUNT", "frames 20 is not 8k+1; the nearest legal value is 17"},
    {"FramesUp", [](auto& r) { r.set_frames(25); }, [](auto& r) { r.set_frames(21); }, "frames",
     "FRAME_COUNT", "nearest legal value is 25"},
    {"FramesMost", [](auto& r) { r.set_frames(49); }, [](auto& r) { r.set_frames(57); }, "frames",
     "FRAME_COUNT", "frames 57 exceeds the model's 49; the nearest legal value is 49"},
    {"FramesLeast", [](auto& r) { r.set_frames(1); }, [](auto& r) { r.set_frames(0); }, "frames",
     "FRAME_COUNT", "frames 0 is not positive; the nearest legal value is 1"},
    {"HeightMultiple", [](auto& r) { r.set_height(480); }, [](auto& r) { r.set_height(478); },
     "height", "SIZE_MULTIPLE",
     "height 478 is not a positive multiple of 16; the nearest legal value is 480"},
    {"WidthLeast", [](auto& r) { r.set_width(16); }, [](auto& r) { r.set_width(-16); }, "width",
     "SIZE_MULTIPLE", "width -16 is not a positive multiple of 16; the nearest legal value is 16"},
    {"WidthMost",
     [](auto& r) {
       r.set_width(4096);
       r.set_height(80);
     },
     [](auto& r) {
       r.set_width(4112);
       r.set_height(16);
     },
     "width", "SIZE_LIMIT", "width 4112 exceeds the model's 4096; the nearest legal value is 4096"},
    {"WidthMostBeforeMultiple",
     [](auto& r) {
       r.set_width(4096);
       r.set_height(80);
     },
     [](auto& r) {
       r.set_width(2147483647);
       r.set_height(16);
     },
     "width", "SIZE_LIMIT",
     "width 2147483647 exceeds the model's 4096; the nearest legal value is 4096"},
    {"Area", [](auto& r) { r.set_height(480); }, [](auto& r) { r.set_height(496); }, "height",
     "SIZE_LIMIT",
     "height 496 with width 720 is 357120 pixels, more than the model's 345600; the "
     "nearest legal value is 480"},
    {"FpsMost", [](auto& r) { r.set_fps(120); }, [](auto& r) { r.set_fps(121); }, "fps", "FPS",
     "fps 121 is outside 1 to 120; the nearest legal value is 120"},
    {"FpsLeast", [](auto& r) { r.set_fps(1); }, [](auto& r) { r.set_fps(0); }, "fps", "FPS",
     "nearest legal value is 1"},
    {"StepsMost", [](auto& r) { r.set_steps(200); }, [](auto& r) { r.set_steps(201); }, "steps",
     "STEPS", "steps 201 is outside 1 to 200; the nearest legal value is 200"},
    {"StepsLeast", [](auto& r) { r.set_steps(1); }, [](auto& r) { r.set_steps(0); }, "steps",
     "STEPS", "nearest legal value is 1"},
    {"GuidanceMost", [](auto& r) { r.set_guidance_scale(50); },
     [](auto& r) { r.set_guidance_scale(50.5); }, "guidance_scale", "GUIDANCE",
     "guidance_scale 50.5 is outside 0 to 50; the nearest legal value is 50"},
    {"GuidanceLeast", [](auto& r) { r.set_guidance_scale(0); },
     [](auto& r) { r.set_guidance_scale(-0.5); }, "guidance_scale", "GUIDANCE",
     "nearest legal value is 0"},
    {"GuidanceFinite", [](auto& r) { r.set_guidance_scale(1); },
     [](auto& r) { r.set_guidance_scale(std::nan("")); }, "guidance_scale", "GUIDANCE",
     "not a finite number"},
    {"GuidanceInfinite", [](auto& r) { r.set_guidance_scale(1); },
     [](auto& r) { r.set_guidance_scale(std::numeric_limits<double>::infinity()); },
     "guidance_scale", "GUIDANCE", "not a finite number"},
    {"SchedulerKnown", [](auto& r) { r.set_scheduler(v1::SCHEDULER_DDIM); },
     [](auto& r) { r.set_scheduler(static_cast<v1::Scheduler>(9)); }, "scheduler", "SCHEDULER",
     "scheduler 9 is unknown"},
    {"OutputTypeKnown", [](auto& r) { r.set_output_type(v1::OUTPUT_TYPE_LATENT); },
     [](auto& r) { r.set_output_type(static_cast<v1::OutputType>(4)); }, "output_type",
     "OUTPUT_TYPE", "output_type 4 is unknown"},
    {"TokensMost", [](auto& r) { r.set_max_sequence_length(226); },
     [](auto& r) { r.set_max_sequence_length(227); }, "max_sequence_length", "SEQUENCE_LENGTH",
     "max_sequence_length 227 is outside 1 to 226; the nearest legal value is 226"},
    {"TokensLeast", [](auto& r) { r.set_max_sequence_length(1); },
     [](auto& r) { r.set_max_sequence_length(0); }, "max_sequence_length", "SEQUENCE_LENGTH",
     "nearest legal value is 1"},
    {"DeadlinePositive", [](auto& r) { r.mutable_deadline()->set_nanos(1); },
     [](auto& r) { r.mutable_deadline()->set_nanos(0); }, "deadline", "DEADLINE", "not positive"},
    {"DeadlineMost", [](auto& r) { r.mutable_deadline()->set_seconds(604800); },
     [](auto& r) {
       r.mutable_deadline()->set_seconds(604800);
       r.mutable_deadline()->set_nanos(1);
     },
     "deadline", "DEADLINE", "nearest legal value is 604800"},
    {"PriorityMost", [](auto& r) { r.set_priority(9); }, [](auto& r) { r.set_priority(10); },
     "priority", "PRIORITY", "priority 10 is outside 0 to 9; the nearest legal value is 9"},
    {"PriorityLeast", [](auto& r) { r.set_priority(0); }, [](auto& r) { r.set_priority(-1); },
     "priority", "PRIORITY", "nearest legal value is 0"},
    {"LabelCount", [](auto& r) { AddLabels(r, 16); }, [](auto& r) { AddLabels(r, 17); }, "labels",
     "LABELS", "17 entries; at most 16"},
    {"LabelKey", [](auto& r) { (*r.mutable_labels())[Repeat(63)] = ""; },
     [](auto& r) { (*r.mutable_labels())[Repeat(64)] = ""; }, "labels", "LABELS", "key of 64"},
    {"LabelKeyEmpty", [](auto& r) { (*r.mutable_labels())["k"] = ""; },
     [](auto& r) { (*r.mutable_labels())[""] = ""; }, "labels", "LABELS", "key of 0"},
    {"LabelValue", [](auto& r) { (*r.mutable_labels())["k"] = Repeat(255); },
     [](auto& r) { (*r.mutable_labels())["k"] = Repeat(256); }, "labels", "LABELS", "value of 256"},
    {"RequestId", [](auto& r) { r.set_request_id(Repeat(128)); },
     [](auto& r) { r.set_request_id(Repeat(129)); }, "request_id", "REQUEST_ID", "129 bytes"},
};

INSTANTIATE_TEST_SUITE_P(All, LimitTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ResolveRequest, FillsInTheModelsDefaults) {
  const auto resolved = ResolveRequest(Legal(), TestModel("tiny"), /*random_seed=*/4000000000U);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ("tiny", resolved->model());
  EXPECT_EQ(v1::OUTPUT_TYPE_VIDEO, resolved->output_type());
  EXPECT_EQ(49, resolved->frames());
  EXPECT_EQ(480, resolved->height());
  EXPECT_EQ(720, resolved->width());
  EXPECT_EQ(8, resolved->fps());
  EXPECT_EQ(50, resolved->steps());
  EXPECT_EQ(6, resolved->guidance_scale());
  EXPECT_TRUE(resolved->has_dynamic_cfg());
  EXPECT_EQ(v1::SCHEDULER_DPM, resolved->scheduler());
  EXPECT_EQ(4000000000U, resolved->seed());
  EXPECT_EQ(226, resolved->max_sequence_length());
  EXPECT_TRUE(resolved->has_vae_tiling());
  EXPECT_EQ(4, resolved->priority());
  EXPECT_FALSE(resolved->has_deadline());
}

// Job.request shows what was used: a field that may be left out has its default filled in.
TEST(ResolveRequest, NoOptionalFieldIsLeftOpen) {
  const auto resolved = ResolveRequest(Legal(), TestModel(), /*random_seed=*/7);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  const auto& type = *GenerateRequest::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    if (!type.field(i)->has_optional_keyword()) continue;
    EXPECT_TRUE(resolved->GetReflection()->HasField(*resolved, type.field(i)))
        << type.field(i)->name();
  }
}

TEST(ResolveRequest, KeepsWhatWasGiven) {
  GenerateRequest request = Legal();
  request.set_seed(0);
  request.set_guidance_scale(0);
  request.set_priority(0);
  request.set_scheduler(v1::SCHEDULER_DDIM);
  const auto resolved = ResolveRequest(request, TestModel(), /*random_seed=*/7);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(0, resolved->seed());
  EXPECT_EQ(0, resolved->guidance_scale());
  EXPECT_EQ(0, resolved->priority());
  EXPECT_EQ(v1::SCHEDULER_DDIM, resolved->scheduler());
}

TEST(ResolveRequest, ReportsAllViolationsTogether) {
  GenerateRequest request;
  request.set_height(478);
  request.set_steps(0);
  request.set_frames(50);
  const google::rpc::BadRequest bad =
      BadRequestOf(ResolveRequest(request, TestModel(), /*random_seed=*/7).status());
  std::vector<std::string> fields;
  for (const auto& violation : bad.field_violations()) fields.push_back(violation.field());
  EXPECT_THAT(fields, ElementsAre("frames", "height", "steps", "prompt"));
}

TEST(ResolveRequest, ALearnedTableAllowsOnlyItsOwnShape) {
  v1::Model model = TestModel();
  model.mutable_limits()->set_fixed_shape(true);
  EXPECT_EQ(absl::OkStatus(), Check([](auto&) {}, model));
  EXPECT_EQ(absl::OkStatus(), Check([](auto& r) { r.set_frames(49); }, model));
  const auto message = [&model](const Change& change) {
    return std::string(Check(change, model).message());
  };
  EXPECT_THAT(message([](auto& r) { r.set_frames(41); }), HasSubstr("nearest legal value is 49"));
  EXPECT_THAT(message([](auto& r) { r.set_height(464); }), HasSubstr("nearest legal value is 480"));
  EXPECT_THAT(message([](auto& r) { r.set_width(704); }), HasSubstr("nearest legal value is 720"));
  EXPECT_THAT(message([](auto& r) { r.set_max_sequence_length(225); }),
              HasSubstr("nearest legal value is 226"));
}

TEST(ResolveRequest, AnImageIsForImageModelsOnly) {
  v1::Model image_model = TestModel("i2v");
  image_model.mutable_limits()->set_image_required(true);
  const Change with_image = [](auto& r) { r.set_image(PngHeader(64, 48)); };
  EXPECT_EQ(absl::OkStatus(), Check(with_image, image_model));
  EXPECT_THAT(std::string(Check([](auto&) {}, image_model).message()),
              HasSubstr("image is missing"));
  EXPECT_THAT(std::string(Check(with_image).message()), HasSubstr("is refused"));
}

TEST(ResolveRequest, AnInputStandsInPlaceOfAnImage) {
  v1::Model image_model = TestModel("i2v");
  image_model.mutable_limits()->set_image_required(true);
  const std::string name = "inputs/" + std::string(64, 'f');
  const Change with_input = [&](auto& r) { r.set_image_input(name); };
  EXPECT_EQ(absl::OkStatus(), Check(with_input, image_model));
  EXPECT_EQ("image_input is refused; model tiny makes video from text alone",
            Check(with_input).message());
  const Change with_both = [&](auto& r) {
    r.set_image(PngHeader(64, 48));
    r.set_image_input(name);
  };
  EXPECT_EQ("IMAGE", ErrorReason(Check(with_both, image_model)));
  EXPECT_THAT(std::string(Check(with_both, image_model).message()), HasSubstr("legal is one of"));
}

TEST(ValidateRequest, AnInputsNameHasItsDigest) {
  const std::string digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  EXPECT_EQ(digest, DigestOfInput(InputName(digest)));
  for (const std::string& name : {digest, "inputs/" + digest + "0", "inputs/" + digest.substr(1),
                                  "inputs/" + std::string(64, 'F'), std::string("inputs/")}) {
    EXPECT_EQ(std::nullopt, DigestOfInput(name));
    GenerateRequest request = Legal();
    request.set_image_input(name);
    EXPECT_EQ("IMAGE", ErrorReason(ValidateRequest(request))) << name;
  }
}

TEST(ValidateRequest, ChecksTheImageByItsHeader) {
  const auto check = [](std::string image) {
    GenerateRequest request = Legal();
    request.set_image(std::move(image));
    return ValidateRequest(request);
  };
  EXPECT_EQ(absl::OkStatus(), check(PngHeader(8192, 4028)));  // 32,997,376 pixels
  EXPECT_THAT(std::string(check(PngHeader(8192, 4029)).message()), HasSubstr("33000000 in all"));
  EXPECT_THAT(std::string(check(PngHeader(8193, 1)).message()), HasSubstr("8192 a side"));
  EXPECT_THAT(std::string(check(PngHeader(0, 1)).message()), HasSubstr("0 x 1 pixels"));
  EXPECT_THAT(std::string(check("GIF89a").message()), HasSubstr("neither PNG nor JPEG"));
  std::string largest = PngHeader(8, 8);
  largest.resize(16 * 1024 * 1024);
  EXPECT_EQ(absl::OkStatus(), check(largest));
  EXPECT_THAT(std::string(check(largest + "x").message()), HasSubstr("at most 16777216"));
}

TEST(NormalizeJobName, WhatItShowsOfALongNameIsText) {
  std::string name = "x";
  for (int i = 0; i < 100; ++i) name += "\u00e9";  // two bytes: no even cut falls between them
  const absl::Status refused = NormalizeJobName(name).status();
  EXPECT_EQ(std::string_view::npos, FirstBadUtf8Byte(std::string(refused.message())));
  EXPECT_EQ("JOB_NAME", ErrorReason(FromGrpc(ToGrpc(refused))));  // the details can be read
}

TEST(NormalizeJobName, TakesBothForms) {
  const std::string id = "01hzzzzzzzzzzzzzzzzzzzzzzz";
  EXPECT_EQ("jobs/" + id, NormalizeJobName(id).value());
  EXPECT_EQ("jobs/" + id, NormalizeJobName("jobs/" + id).value());
  for (const std::string& bad :
       {std::string(), std::string("jobs/"), id + "0", id.substr(1), "job/" + id, "jobs/jobs/" + id,
        "81" + id.substr(2), "01u" + id.substr(3), "01H" + id.substr(3), std::string("a\xff")}) {
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, NormalizeJobName(bad).status().code()) << bad;
  }
}

}  // namespace
}  // namespace cogwheel
