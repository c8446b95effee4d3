#include "worker/described_model.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

TEST(DescribedModelTest, IsReadAsItWasWritten) {
  const ModelDescription model{.name = "a \"quoted\" n\u00e4me\n",
                               .digest = "0123",
                               .default_frames = 1,
                               .default_height = 2,
                               .default_width = 3,
                               .default_fps = 4,
                               .default_steps = 5,
                               .default_guidance_scale = 0.1,
                               .default_scheduler = SchedulerKind::kDpm,
                               .frames_multiple = 16,
                               .max_frames = 7,
                               .max_area = int64_t{1} << 40,
                               .max_height = 9,
                               .max_width = 10,
                               .max_steps = 11,
                               .max_text_tokens = 12,
                               .image_required = true,
                               .fixed_shape = true,
                               .stored_dtype = Dtype::kFp16,
                               .rotary = true,
                               .description = "ein Kreis, größer",
                               .sample_prompts = {"a circle"},
                               .vocabulary = {"a", "größer"}};
  const absl::StatusOr<ModelDescription> read = ToModelDescription(ToText(model));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->name, model.name);
  EXPECT_EQ(read->digest, "0123");
  EXPECT_EQ(read->default_guidance_scale, 0.1);
  EXPECT_EQ(read->default_scheduler, SchedulerKind::kDpm);
  EXPECT_EQ(read->max_area, int64_t{1} << 40);
  EXPECT_EQ(read->max_text_tokens, 12);
  EXPECT_TRUE(read->image_required);
  EXPECT_EQ(read->stored_dtype, Dtype::kFp16);
  EXPECT_TRUE(read->rotary);
  EXPECT_EQ(read->description, "ein Kreis, größer");
  EXPECT_EQ(read->sample_prompts, model.sample_prompts);
  EXPECT_EQ(read->vocabulary, model.vocabulary);
  EXPECT_EQ(ToText(*read), ToText(model));
}

TEST(DescribedModelTest, AnythingElseIsRefused) {
  for (const char* text : {"", "{}", "[]", "[1, 2]", "no JSON"}) {
    EXPECT_EQ(ToModelDescription(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  std::string wrong = ToText({.name = "n"});
  wrong.replace(wrong.find("\"n\""), 3, "1234");  // a number where the name is
  EXPECT_FALSE(ToModelDescription(wrong).ok());
  EXPECT_FALSE(ReadDescription("/nonexistent").ok());
}

// An argument of a program can be 128 KiB long.
TEST(DescribedModelTest, ALongOneReachesAnotherProcess) {
  ModelDescription model{.name = "long", .vocabulary = {4096, std::string(64, 'x')}};
  DescriptionFile file;
  const absl::StatusOr<std::string> path = file.Write(model);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_LT(path->size(), 64);
  EXPECT_EQ(ToText(ReadDescription(*path).value()), ToText(model));
  model = {.name = "shorter"};
  EXPECT_EQ(file.Write(model).value(), *path);
  EXPECT_EQ(ToText(ReadDescription(*path).value()), ToText(model));
}

}  // namespace
}  // namespace cogwheel
