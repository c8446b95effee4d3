#include "client/request_builder.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

RequestFlags Prompt() {
  RequestFlags flags;
  flags.prompt = "a red circle";
  return flags;
}

TEST(BuildRequest, WhatWasNotGivenIsNotSet) {
  const auto request = BuildRequest(Prompt());
  ASSERT_TRUE(request.ok()) << request.status();
  v1::GenerateRequest expected;
  expected.set_prompt("a red circle");
  EXPECT_EQ(request->SerializeAsString(), expected.SerializeAsString());
}

TEST(BuildRequest, WhatWasGivenIsSet) {
  RequestFlags flags = Prompt();
  flags.output_type = v1::OUTPUT_TYPE_LATENT;
  flags.steps = 7;
  flags.seed = 18446744073709551615u;
  flags.deadline_seconds = 1.25;
  flags.dynamic_cfg = true;
  flags.scheduler = v1::SCHEDULER_DDIM;
  const auto request = BuildRequest(flags);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->output_type(), v1::OUTPUT_TYPE_LATENT);
  EXPECT_EQ(request->steps(), 7);
  EXPECT_EQ(request->seed(), 18446744073709551615u);
  EXPECT_EQ(request->deadline().seconds(), 1);
  EXPECT_EQ(request->deadline().nanos(), 250'000'000);
  EXPECT_TRUE(request->dynamic_cfg());
  EXPECT_EQ(request->scheduler(), v1::SCHEDULER_DDIM);
  EXPECT_FALSE(request->has_guidance_scale());
}

// A field of the API that no flag sets is one that nobody at a terminal has.
TEST(BuildRequest, EveryFieldHasAFlagOrIsAnException) {
  const std::set<std::string> exceptions = {
      "image",        // read from a file; below
      "image_input",  // of clients that send one picture for many jobs
      "detach",       // the command's: `generate` holds its job, `submit` never did
  };
  RequestFlags flags = Prompt();
  flags.negative_prompt = "n";
  flags.output_type = v1::OUTPUT_TYPE_FRAMES;
  flags.model = "m";
  flags.frames = flags.height = flags.width = 16;
  flags.fps = flags.steps = flags.max_sequence_length = flags.priority = 1;
  flags.guidance_scale = flags.deadline_seconds = 1;
  flags.scheduler = v1::SCHEDULER_DPM;
  flags.seed = 1;
  flags.dynamic_cfg = flags.vae_tiling = true;
  flags.request_id = "r";
  flags.labels = {{"k", "v"}};
  const auto request = BuildRequest(flags);
  ASSERT_TRUE(request.ok()) << request.status();
  std::vector<const google::protobuf::FieldDescriptor*> set;
  request->GetReflection()->ListFields(*request, &set);
  const auto& type = *v1::GenerateRequest::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    EXPECT_NE(exceptions.contains(type.field(i)->name()),
              std::ranges::find(set, type.field(i)) != set.end())
        << type.field(i)->name();
  }
}

std::string Refusal(const RequestFlags& flags) {
  const auto request = BuildRequest(flags);
  EXPECT_FALSE(request.ok());
  return std::string(request.status().message());
}

TEST(BuildRequest, DeadlinesAreChecked) {
  RequestFlags flags = Prompt();
  for (const double seconds : {0.0, -1.0, std::nan(""), -std::numeric_limits<double>::infinity()}) {
    flags.deadline_seconds = seconds;
    EXPECT_THAT(Refusal(flags), HasSubstr("deadline")) << seconds;
  }
  for (const double seconds : {604801.0, 1e300, std::numeric_limits<double>::infinity()}) {
    flags.deadline_seconds = seconds;
    EXPECT_THAT(Refusal(flags), HasSubstr("604800")) << seconds;
  }
}

TEST(BuildRequest, LimitsThatNeedNoModelAreCheckedHere) {
  RequestFlags flags;
  EXPECT_THAT(Refusal(flags), HasSubstr("prompt"));
  flags = Prompt();
  flags.prompt = "bad \xff byte";
  EXPECT_THAT(Refusal(flags), HasSubstr("UTF-8"));
  flags = Prompt();
  flags.steps = 201;
  EXPECT_THAT(Refusal(flags), HasSubstr("200"));
  flags = Prompt();
  flags.guidance_scale = std::nan("");
  EXPECT_THAT(Refusal(flags), HasSubstr("guidance_scale"));
}

TEST(BuildRequest, ImagesThatCannotBeReadAreNamed) {
  const fs::path folder = fs::path(::testing::TempDir()) / "request_builder_test";
  fs::create_directories(folder);
  RequestFlags flags = Prompt();
  flags.image_file = folder / "missing.png";
  EXPECT_THAT(Refusal(flags), HasSubstr("missing.png: no such file"));
  flags.image_file = folder;
  EXPECT_THAT(Refusal(flags), HasSubstr("not a regular file"));
  flags.image_file = folder / "empty.png";
  std::ofstream(flags.image_file) << "";
  EXPECT_THAT(Refusal(flags), HasSubstr("is empty"));
  flags.image_file = folder / "large.png";
  std::ofstream(flags.image_file) << "x";
  fs::resize_file(flags.image_file, 16 * 1024 * 1024 + 1);
  EXPECT_THAT(Refusal(flags), HasSubstr("16777216"));
  flags.image_file = folder / "text.png";
  std::ofstream(flags.image_file) << "this is no picture";
  EXPECT_THAT(Refusal(flags), HasSubstr("image"));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace cogwheel
