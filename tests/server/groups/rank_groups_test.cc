// All groups together: how many there may be, and how they are forgotten.
#include "server/groups/rank_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/groups/rank_group_fixture.h"

namespace cogwheel {
namespace {

using internal::v1::Hello;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::IsEmpty;

class RankGroupsTest : public RankGroupTest {
 protected:
  bool MayJoin(RankId id, const std::string& group) {
    Hello hello = MakeHello("a", 0);
    hello.set_group(group);
    const auto link = Join(id, hello);
    return !absl::IsResourceExhausted(link->closed.value_or(absl::OkStatus()));
  }
  // Names of the metrics that speak of the group.
  std::vector<std::string> SeriesOf(const std::string& group) {
    std::vector<std::string> names;
    for (const auto& family : metrics_.registry->Collect()) {
      for (const auto& metric : family.metric) {
        for (const auto& label : metric.label) {
          if (label.name == "group" && label.value == group) names.push_back(family.name);
        }
      }
    }
    return names;
  }
};

TEST_F(RankGroupsTest, GroupsThatHaveRanksAreBounded) {
  for (RankId id = 1; id <= 64; ++id) EXPECT_TRUE(MayJoin(id, "g" + std::to_string(id))) << id;
  EXPECT_FALSE(MayJoin(65, "one too many"));
  EXPECT_EQ(64, board_.List().size());
  groups_.OnGone(64);
  EXPECT_TRUE(MayJoin(66, "another"));
  EXPECT_FALSE(MayJoin(67, "g64")) << "its place is taken";
}

// With names that never come twice, as pods of a Deployment have them.
TEST_F(RankGroupsTest, NamesOfTheDeadAreBoundedToo) {
  for (RankId id = 1; id <= 256; ++id) {
    EXPECT_TRUE(MayJoin(id, "pod-" + std::to_string(id))) << id;
    groups_.OnGone(id);
  }
  EXPECT_FALSE(MayJoin(257, "pod-257"));
  Pass(minutes(10));
  EXPECT_TRUE(MayJoin(258, "pod-258"));
  EXPECT_EQ(1, board_.List().size());
}

TEST_F(RankGroupsTest, AGroupThatStaysEmptyIsForgotten) {
  Form();
  metrics_.dispatch_group_last_step_timestamp_seconds.Set(1, {"g"});  // as the dispatcher does
  Start();
  groups_.OnGone(1);
  groups_.OnGone(2);
  Pass(minutes(10) - seconds(1));
  EXPECT_TRUE(board_.Find("g").has_value());
  EXPECT_FALSE(SeriesOf("g").empty());
  Pass(seconds(1));
  EXPECT_FALSE(board_.Find("g").has_value());
  EXPECT_THAT(SeriesOf("g"), IsEmpty());
  Form();
  EXPECT_TRUE(board_.Find("g")->ready());
}

TEST_F(RankGroupsTest, AGroupThatARankWaitsInIsNotForgotten) {
  Join(1, MakeHello("b", 0));
  for (int second = 0; second < 1200; ++second) {
    Beat(1);
    Pass(seconds(1));
  }
  EXPECT_TRUE(board_.Find("g").has_value());
  groups_.OnGone(1);
  Pass(minutes(9));
  EXPECT_TRUE(board_.Find("g").has_value()) << "empty for 9 minutes only";
}

// A group that crashed is expected back; one that was scaled down, or stays away, is not.
TEST_F(RankGroupsTest, OnlyGroupsThatAreThereSayHowFastTheirModelIs) {
  const JobSize size = {.shape = {.text_tokens = 1, .latent_frames = 1, .frame_tokens = 1},
                        .steps = 10};
  const auto learn = [&](const std::string& setup, double step) {
    costs_.Learn("tiny", setup, {size.shape, {.step = step}});
  };
  Form();
  learn(group_->setup(), 5);
  learn("a big group of yesterday", 1);
  EXPECT_EQ(50, costs_.Seconds("tiny", size));
  groups_.OnGone(1);
  EXPECT_EQ(50, costs_.Seconds("tiny", size));
  Pass(minutes(10));
  EXPECT_EQ(10, costs_.Seconds("tiny", size)) << "better than to know nothing";
  Form();
  EXPECT_EQ(50, costs_.Seconds("tiny", size));
  Leaving(1);
  EXPECT_EQ(10, costs_.Seconds("tiny", size));
}

}  // namespace
}  // namespace cogwheel
