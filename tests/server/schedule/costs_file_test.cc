#include "server/schedule/costs_file.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

CostModel::Entry Entry(const std::string& model, const std::string& setup, double step) {
  return {model,
          setup,
          {.shape = {.text_tokens = 26,
                     .latent_frames = 3,
                     .frame_tokens = 4,
                     .branches = 2,
                     .decoded = true,
                     .tiled = true},
           .costs = {.before = 0.5, .step = step, .after = 3},
           .decode_in_steps = 7}};
}

class CostsFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "costs_file_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ / "cache" / "costs.json";
  }
  void TearDown() override { fs::remove_all(folder_); }

  // By a process of its own.
  void Learn(const CostModel::Entry& entry) {
    CostModel costs;
    const CostsFile file(path_, costs);
    costs.Learn(entry.model, entry.setup, entry.seen);
  }
  double StepOf(const CostModel::Entry& entry) {
    CostModel costs;
    const CostsFile file(path_, costs);
    const auto expected = costs.Expect(entry.model, entry.setup, entry.seen.shape);
    return expected.has_value() ? expected->step : 0;
  }
  void Write(const std::string& text) {
    fs::create_directories(path_.parent_path());
    std::ofstream(path_) << text;
  }

  fs::path folder_, path_;
};

TEST_F(CostsFileTest, EverythingComesBack) {
  const CostModel::Entry entry = Entry("m", "g \xc3\xa4 \"quoted\"", 2);
  const auto read = CostsFromJson(CostsToJson({entry}));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().model, entry.model);
  EXPECT_EQ(read->front().setup, entry.setup);
  EXPECT_EQ(read->front().seen.shape, entry.seen.shape);
  EXPECT_EQ(read->front().seen.costs.before, 0.5);
  EXPECT_EQ(read->front().seen.costs.step, 2);
  EXPECT_EQ(read->front().seen.costs.after, 3);
  EXPECT_EQ(read->front().seen.decode_in_steps, 7);
}

TEST_F(CostsFileTest, TheNextProcessKnows) {
  EXPECT_EQ(StepOf(Entry("m", "g", 2)), 0);
  Learn(Entry("m", "g", 2));
  EXPECT_EQ(StepOf(Entry("m", "g", 0)), 2);
  Learn(Entry("m", "g", 3));
  EXPECT_DOUBLE_EQ(StepOf(Entry("m", "g", 0)), 2 + 0.5);
  EXPECT_EQ(std::distance(fs::directory_iterator(path_.parent_path()), {}), 1)
      << "no temporary file stays";
}

TEST_F(CostsFileTest, TwoAtATimeLoseNothingOfEachOther) {
  {
    CostModel first_costs, second_costs;
    const CostsFile first(path_, first_costs), second(path_, second_costs);
    first_costs.Learn("m", "first", Entry("m", "first", 2).seen);
    second_costs.Learn("m", "second", Entry("m", "second", 3).seen);
  }
  Learn(Entry("m", "third", 4));
  EXPECT_EQ(StepOf(Entry("m", "third", 0)), 4);
  const bool one = StepOf(Entry("m", "first", 0)) == 2,
             other = StepOf(Entry("m", "second", 0)) == 3;
  EXPECT_TRUE(one || other) << "whole, whoever of the two came last";
}

TEST_F(CostsFileTest, WhatOthersWroteMeanwhileStays) {
  {
    CostModel costs;
    const CostsFile file(path_, costs);
    Learn(Entry("m", "other", 3));
    costs.Learn("m", "own", Entry("m", "own", 2).seen);
  }
  EXPECT_EQ(StepOf(Entry("m", "own", 0)), 2);
  EXPECT_EQ(StepOf(Entry("m", "other", 0)), 3);
}

TEST_F(CostsFileTest, ADamagedFileIsDoneWithout) {
  const std::string whole = CostsToJson({Entry("m", "g", 2)});
  std::string other_version = whole, negative = whole;
  other_version.replace(other_version.find("\"version\": 1"), 12, "\"version\": 9");
  negative.replace(negative.find("\"step\": 2.0"), 11, "\"step\": -2 ");
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"),
                                  std::string("{\"version\":1}"), whole.substr(0, whole.size() / 2),
                                  other_version, negative, std::string(5 * 1024 * 1024, ' ')}) {
    EXPECT_FALSE(CostsFromJson(text).ok()) << text.substr(0, 99);
    Write(text);
    EXPECT_EQ(StepOf(Entry("m", "g", 0)), 0);
    Learn(Entry("m", "g", 2));
    EXPECT_EQ(StepOf(Entry("m", "g", 0)), 2);
  }
}

TEST_F(CostsFileTest, AFolderThatCannotBeWrittenStopsNothing) {
  std::ofstream(folder_ / "cache") << "no folder";
  Learn(Entry("m", "g", 2));
  EXPECT_EQ(StepOf(Entry("m", "g", 0)), 0);
  path_ = "";
  Learn(Entry("m", "g", 2));
  EXPECT_EQ(StepOf(Entry("m", "g", 0)), 0);
}

}  // namespace
}  // namespace cogwheel
