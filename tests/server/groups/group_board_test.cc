// What is told of groups: the checkpoints that serve a name, and the warnings of a job's ranks.
#include <cmath>

#include <gmock/gmock.h>

#include "server/groups/rank_messages.h"
#include "tests/server/groups/rank_group_fixture.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class GroupBoardTest : public RankGroupTest {
 protected:
  // A group of one rank that has all places filled. Returns its rank's link.
  std::shared_ptr<FakeLink> JoinGroup(RankId id, const std::string& group,
                                      const std::string& digest, int protocol = kProtocol) {
    internal::v1::Hello hello = MakeHello("host", 0, /*ranks=*/1);
    hello.set_group(group);
    hello.set_protocol(protocol);
    hello.mutable_model()->set_digest(digest);
    hello.mutable_model()->set_default_steps(static_cast<int>(digest.size()));
    return Join(id, hello);
  }
  void FormGroup(RankId id, const std::string& group, const std::string& digest,
                 int protocol = kProtocol) {
    const auto link = JoinGroup(id, group, digest, protocol);
    Formed(id, link->last().assign().epoch());
  }
  void Leave(RankId id) { groups_.OnGone(id); }
  v1::Model Current() { return board_.Current(store_.Models().value()).at(0); }
};

TEST_F(GroupBoardTest, AModelIsServedFromTheFirstRankThatBringsIt) {
  internal::v1::Hello hello = MakeHello("host", 0, /*ranks=*/2);
  const std::string model = hello.model().name();
  EXPECT_FALSE(board_.Serves(model));
  Join(1, hello);  // the other is still missing
  EXPECT_TRUE(board_.Serves(model));
  EXPECT_FALSE(board_.Serves("another"));
  Leave(1);
  EXPECT_FALSE(board_.Serves(model));
}

TEST_F(GroupBoardTest, RequestsAreCheckedAgainstTheNewestCheckpointThatServes) {
  FormGroup(1, "a", "1");
  EXPECT_EQ("1", Current().digest());
  EXPECT_TRUE(Current().ready());
  EXPECT_THAT(Current().serving_digests(), ElementsAre("1"));

  const auto coming = JoinGroup(2, "b", "22");  // has not loaded it yet
  EXPECT_EQ("1", Current().digest());
  Formed(2, coming->last().assign().epoch());
  EXPECT_EQ("22", Current().digest());
  EXPECT_EQ(2, Current().defaults().steps());  // its own description
  EXPECT_THAT(Current().serving_digests(), ElementsAre("1", "22"));

  FormGroup(3, "c", "22");
  EXPECT_THAT(Current().serving_digests(), ElementsAre("1", "22"));

  Leave(2);
  Leave(3);  // rolled back
  EXPECT_EQ("1", Current().digest());
  EXPECT_EQ(1, Current().defaults().steps());
}

TEST_F(GroupBoardTest, WhileNoneServesTheLastThatCameCounts) {
  FormGroup(1, "a", "1");
  Leave(1);
  EXPECT_FALSE(Current().ready());
  EXPECT_EQ("1", Current().digest());
  EXPECT_THAT(Current().serving_digests(), IsEmpty());
  JoinGroup(2, "a", "22");
  EXPECT_EQ("22", Current().digest());
}

TEST_F(GroupBoardTest, EachGroupShowsItsCheckpoint) {
  FormGroup(1, "a", "1");
  FormGroup(2, "b", "22");
  EXPECT_EQ("1", board_.Find("a")->model_digest());
  EXPECT_EQ("22", board_.Find("b")->model_digest());
  EXPECT_EQ("22", recorder_.groups.at("b")->model_digest());
}

// The same checkpoint, told in two ways, is no other one: jobs would wait for ever.
TEST_F(GroupBoardTest, ADigestOfTheReleaseBeforeIsNone) {
  FormGroup(1, "a", "1", /*protocol=*/1);
  EXPECT_EQ("", recorder_.groups.at("a")->model_digest());
  EXPECT_EQ("", Current().digest());
  EXPECT_THAT(Current().serving_digests(), IsEmpty());
}

TEST_F(GroupBoardTest, TheWarningsOfWorldRank0GoWithTheStart) {
  Form();
  Run();
  const auto answer = [this](RankId id, const std::vector<std::string>& warnings) {
    internal::v1::RankMessage message;
    auto& said = *message.mutable_job_answer();
    said.set_epoch(group_->epoch());
    said.set_job_sequence(sequence_);
    for (const std::string& warning : warnings) said.add_warnings(warning);
    said.set_decode_in_steps(id);
    groups_.OnMessage(id, message);
  };
  answer(1, {"of another rank"});
  answer(2, {"two\nlines", "", std::string(1023, 'x') + "é"});
  EXPECT_THAT(recorder_.started.warnings, ElementsAre("two lines", std::string(1023, 'x')));
  EXPECT_EQ(2, recorder_.started.decode_in_steps);
}

TEST_F(GroupBoardTest, StepsThatCannotBeAreNotSaid) {
  internal::v1::JobAnswer answer;
  for (const double steps : {std::nan(""), -1.0, 1e300, double{INFINITY}}) {
    answer.set_decode_in_steps(steps);
    EXPECT_EQ(0, CheckedSteps(answer)) << steps;
  }
  answer.set_decode_in_steps(2.5);
  EXPECT_EQ(2.5, CheckedSteps(answer));
}

TEST_F(GroupBoardTest, CostsAreLearntByCheckpointMeshDeviceAndDtype) {
  internal::v1::Hello hello = MakeHello("a", 0, /*ranks=*/1);
  hello.set_device("cuda:1");
  hello.set_dtype("bf16");
  hello.set_protocol(kProtocol);
  hello.mutable_model()->set_digest("d1");
  Formed(3, Join(3, hello)->last().assign().epoch());
  EXPECT_EQ("g d1 cfg1 ring1 ulysses1 cuda bf16", recorder_.groups.at("g")->setup());
}

TEST_F(GroupBoardTest, WarningsAreBounded) {
  Form();
  Run();
  internal::v1::RankMessage message;
  auto& said = *message.mutable_job_answer();
  said.set_epoch(group_->epoch());
  said.set_job_sequence(sequence_);
  for (int i = 0; i < 100; ++i) said.add_warnings(std::to_string(i));
  groups_.OnMessage(2, message);
  Answer(1, 0);
  ASSERT_EQ(16, recorder_.started.warnings.size());
  EXPECT_EQ("15", recorder_.started.warnings.back());
}

}  // namespace
}  // namespace cogwheel
