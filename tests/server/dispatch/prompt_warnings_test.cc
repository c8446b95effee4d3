#include "server/dispatch/prompt_warnings.h"

#include <gmock/gmock.h>

#include "base/utf8.h"
#include "tests/server/dispatch/dispatcher_fixture.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

v1::Model Shapes() {
  v1::Model model = TestModel("shapes");
  model.set_description("one shape that moves");
  for (const char* word : {"a", "red", "circle", "moving", "right", "dark"}) {
    model.add_vocabulary(word);
  }
  return model;
}

v1::GenerateRequest Prompt(const std::string& prompt, const std::string& negative = "") {
  v1::GenerateRequest request;
  request.set_model("shapes");
  request.set_prompt(prompt);
  request.set_negative_prompt(negative);
  request.set_guidance_scale(6);
  return request;
}

TEST(PromptWarningsTest, NameWhatTheModelDoesNotKnow) {
  EXPECT_THAT(PromptWarnings(Prompt("A red circle moving right."), Shapes()), IsEmpty());
  EXPECT_THAT(PromptWarnings(Prompt("a cat riding a horse, a cat", "dark"), Shapes()),
              ElementsAre("shapes draws one shape that moves; it does not know: cat, riding, "
                          "horse"));
  EXPECT_THAT(PromptWarnings(Prompt("A RED circle, a cat"), Shapes()),
              ElementsAre("shapes draws one shape that moves; it does not know: RED, cat; try "
                          "small letters"));
  v1::Model plain = Shapes();
  plain.clear_description();
  EXPECT_THAT(PromptWarnings(Prompt("two red circles"), plain),
              ElementsAre("shapes does not know: two, circles"));
  EXPECT_THAT(PromptWarnings(Prompt("a cat"), TestModel("shapes")), IsEmpty());  // open
}

TEST(PromptWarningsTest, TheNegativePromptCountsWhereItIsRead) {
  EXPECT_THAT(PromptWarnings(Prompt("a circle", "blurry, dark"), Shapes()),
              ElementsAre("negative prompt: shapes does not know: blurry"));
  EXPECT_THAT(PromptWarnings(Prompt("a cat", "cat, blurry"), Shapes()),
              ElementsAre("shapes draws one shape that moves; it does not know: cat",
                          "negative prompt: shapes does not know: blurry"));
  EXPECT_THAT(PromptWarnings(Prompt("a cat", "cat"), Shapes()).size(), 1);
  v1::GenerateRequest unguided = Prompt("a circle", "blurry");
  unguided.set_guidance_scale(1);
  EXPECT_THAT(PromptWarnings(unguided, Shapes()), IsEmpty());
}

TEST(PromptWarningsTest, AreShortPlainLines) {
  v1::Model model = Shapes();
  model.set_description(std::string(512, 'd'));
  std::string wide;
  for (int i = 0; wide.size() < 16 * 1024 - 8; ++i) wide += i % 11 == 0 ? " 圆" : "圆\u202e\u0301";
  for (const std::string& prompt :
       {wide, std::string(16 * 1024, 'x'), std::string("\U0001F408 \x01\x1b[2J \u009b cat\n")}) {
    const std::vector<std::string> warnings = PromptWarnings(Prompt(prompt, prompt), model);
    ASSERT_EQ(1, warnings.size());
    EXPECT_LE(warnings[0].size(), 1024);
    EXPECT_FALSE(HasControlCharacter(warnings[0])) << warnings[0];
    EXPECT_EQ(std::string::npos, FirstBadUtf8Byte(warnings[0]));
    EXPECT_EQ(std::string::npos, warnings[0].find("\u202e"));
  }
}

// The job has them from the moment that it is accepted, and whoever sends it again is told again.
TEST_F(DispatcherTest, WarningsOfThePromptAreTheJobs) {
  ASSERT_TRUE(BlockingStore(store_).NewEpoch(Shapes()).ok());
  v1::GenerateRequest request = Prompt("a cat");
  request.set_request_id("once");
  const CreatedJob created = Submit(request).value();
  const std::string told = "shapes draws one shape that moves; it does not know: cat";
  EXPECT_THAT(created.job.warnings, ElementsAre(told));
  EXPECT_THAT(Get(created.job.name).warnings, ElementsAre(told));
  const CreatedJob again = Submit(request).value();
  EXPECT_TRUE(again.existed);
  EXPECT_EQ(again.job.name, created.job.name);
  EXPECT_THAT(again.job.warnings, ElementsAre(told));
  EXPECT_THAT(Submit(Prompt("a circle"))->job.warnings, IsEmpty());
}

TEST_F(DispatcherTest, WarningsOfTheRankComeBehindThoseOfThePrompt) {
  v1::Model model = TestModel("tiny");
  model.add_vocabulary("a");
  ASSERT_TRUE(BlockingStore(store_).NewEpoch(model).ok());
  const std::string job = Accepted();  // its prompt is "p"
  group_.Start({.warnings = {"cut"}});
  loop_.RunPending();
  EXPECT_THAT(Get(job).warnings, ElementsAre("tiny does not know: p", "cut"));
  for (const v1::JobEvent& event : Events(job)) {
    if (!event.has_started()) continue;
    EXPECT_THAT(event.started().warnings(), ElementsAre("tiny does not know: p", "cut"));
  }
}

}  // namespace
}  // namespace cogwheel
