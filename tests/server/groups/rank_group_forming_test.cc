// How a group comes to stand: greetings, places, waits.
#include "server/groups/membership.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "server/groups/hello.h"
#include "tests/server/groups/rank_group_fixture.h"

namespace cogwheel {
namespace {

using internal::v1::Hello;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(RankGroupTest, FormsWhenAllPlacesAreFilled) {
  const auto b = Join(1, MakeHello("b", 0));
  EXPECT_THAT(b->sent, IsEmpty());
  EXPECT_EQ(v1::RANK_JOINED, Board().ranks(0).state());
  EXPECT_EQ(-1, Board().ranks(0).world_rank());
  EXPECT_TRUE(store_.Models()->empty());
  const auto a = Join(2, MakeHello("a", 0));
  ASSERT_TRUE(a->last().has_assign());
  const internal::v1::Assign& assign = a->last().assign();
  EXPECT_EQ(0, assign.world_rank());  // by host, not by arrival
  EXPECT_EQ(1, b->last().assign().world_rank());
  EXPECT_THAT(assign.peer_addresses(), ElementsAre("a:1000", "b:1000"));
  EXPECT_EQ(16, assign.token().size());
  EXPECT_EQ(assign.token(), b->last().assign().token());
  EXPECT_GT(assign.epoch(), 0);
  Formed(1, assign.epoch());
  EXPECT_FALSE(Board().ready());
  Formed(2, assign.epoch() - 1);  // of an older epoch
  EXPECT_FALSE(Board().ready());
  Formed(2, assign.epoch());
  EXPECT_TRUE(Board().ready());
  EXPECT_THAT(recorder_.told, ElementsAre("idle"));
  EXPECT_EQ("tiny", store_.Models()->at(0).name());
  EXPECT_EQ(v1::RANK_READY, Board().ranks(1).state());
}

TEST_F(RankGroupTest, ADifferingRankIsRefusedByWhatDiffers) {
  Join(1, MakeHello("a", 0));
  const auto refusal = [this](const std::function<void(Hello&)>& change) {
    Hello hello = MakeHello("a", 1);
    change(hello);
    const auto link = Join(9, hello);
    EXPECT_TRUE(link->closed.has_value());
    EXPECT_TRUE(absl::IsFailedPrecondition(link->closed.value_or(absl::OkStatus())));
    return std::string(link->closed.value_or(absl::OkStatus()).message());
  };
  EXPECT_THAT(refusal([](Hello& h) { h.mutable_model()->set_digest("e"); }),
              HasSubstr("a:cpu (local rank 1) has model digest e, rank a:cpu (local rank 0) of "
                        "group g has d"));
  EXPECT_THAT(refusal([](Hello& h) { h.set_code_version("2"); }), HasSubstr("code version 2"));
  EXPECT_THAT(refusal([](Hello& h) { h.set_dtype("bf16"); }), HasSubstr("dtype bf16"));
  EXPECT_THAT(refusal([](Hello& h) { h.set_nccl_version("x"); }), HasSubstr("NCCL version x"));
  EXPECT_THAT(refusal([](Hello& h) { h.mutable_mesh()->set_ring(2); }), HasSubstr("ring 2"));
  EXPECT_THAT(refusal([](Hello& h) { h.mutable_model()->set_name("m"); }), HasSubstr("model m"));
  EXPECT_THAT(refusal([](Hello& h) { h.mutable_model()->set_max_frames(9); }),
              HasSubstr("model description"));
  // By a digest: a vocabulary may be long.
  const std::string texts = refusal([](Hello& h) {
    for (int i = 0; i < 4096; ++i) h.mutable_model()->add_vocabulary(std::string(64, 'x'));
  });
  EXPECT_THAT(texts, HasSubstr("model texts (cogwheel.json's description, sample_prompts, "
                               "vocabulary) of digest "));
  EXPECT_LT(texts.size(), 300);
  EXPECT_EQ(1, Board().ranks_size());
}

TEST_F(RankGroupTest, ABadGreetingIsRefused) {
  const auto refused = [this](const std::function<void(Hello&)>& change) {
    Hello hello = MakeHello("a", 0);
    change(hello);
    const auto link = Join(9, hello);
    return link->closed.has_value() && absl::IsInvalidArgument(*link->closed);
  };
  EXPECT_TRUE(refused([](Hello& h) { h.clear_group(); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_mesh()->set_ring(0); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_mesh()->set_cfg(3); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_mesh()->set_ulysses(1025); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_model()->set_max_area(0); }));
  const auto unknown = static_cast<internal::v1::Scheduler>(internal::v1::Scheduler_MAX + 1);
  EXPECT_TRUE(refused([&](Hello& h) { h.mutable_model()->set_default_scheduler(unknown); }));
  EXPECT_TRUE(refused([](Hello& h) {
    h.mutable_model()->clear_default_scheduler();
    h.mutable_model()->set_default_scheduler_word("x");
  }));
  EXPECT_TRUE(refused([](Hello& h) { h.clear_peer_address(); }));
  EXPECT_TRUE(refused([](Hello& h) { h.set_group("two\nlines"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.set_local_rank(-1); }));
  EXPECT_TRUE(refused([](Hello& h) { h.set_dtype(std::string(129, 'x')); }));
  // Health would be told under it.
  EXPECT_TRUE(refused([](Hello& h) { h.set_group("cogwheel.v1.VideoService"); }));
  EXPECT_FALSE(refused([](Hello& h) { h.set_group("cogwheel.v1"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_model()->set_description("two\nlines"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_model()->set_description(std::string(513, 'x')); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_model()->add_sample_prompts(""); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_model()->add_vocabulary("Two words"); }));
  EXPECT_TRUE(refused([](Hello& h) {
    for (int i = 0; i < 17; ++i) h.mutable_model()->add_sample_prompts("p");
  }));
  EXPECT_TRUE(refused([](Hello& h) {
    for (int i = 0; i < 4097; ++i) h.mutable_model()->add_vocabulary("p");
  }));
  const auto link = std::make_shared<FakeLink>();
  groups_.OnJoin(10, link);
  Beat(10);  // no Hello
  EXPECT_TRUE(link->closed.has_value());
  const auto silent = std::make_shared<FakeLink>();
  groups_.OnJoin(11, silent);
  Pass(seconds(9));
  EXPECT_FALSE(silent->closed.has_value());
  Pass(seconds(1));
  EXPECT_TRUE(silent->closed.has_value());
}

// Ranks that wait for others, or load, owe their beats like all others.
TEST_F(RankGroupTest, AModelsNumbersHaveUpperBounds) {
  const std::vector<std::pair<const char*, int64_t>> most = {
      {"default_frames", 65'536}, {"default_height", 65'536}, {"default_width", 65'536},
      {"default_fps", 1000},      {"default_steps", 10'000},  {"frames_multiple", 65'536},
      {"max_frames", 65'536},     {"max_height", 65'536},     {"max_width", 65'536},
      {"max_steps", 10'000},      {"max_text_tokens", 65'536}};
  const auto accepted = [](const std::function<void(internal::v1::ModelInfo&)>& change) {
    Hello hello = MakeHello("a", 0);
    change(*hello.mutable_model());
    return CheckHello(hello).ok();
  };
  for (const auto& [name, limit] : most) {
    const auto set = [name = name](internal::v1::ModelInfo& model, int64_t value) {
      const auto* field = model.GetDescriptor()->FindFieldByName(name);
      model.GetReflection()->SetInt32(&model, field, static_cast<int32_t>(value));
    };
    EXPECT_TRUE(accepted([&](auto& model) { set(model, limit); })) << name;
    EXPECT_FALSE(accepted([&](auto& model) { set(model, limit + 1); })) << name;
    EXPECT_FALSE(accepted([&](auto& model) { set(model, 0); })) << name;
  }
  EXPECT_TRUE(accepted([](auto& model) { model.set_max_area(int64_t{1} << 32); }));
  EXPECT_FALSE(accepted([](auto& model) { model.set_max_area((int64_t{1} << 32) + 1); }));
  for (const double guidance : {-1.0, 1001.0, std::nan(""), HUGE_VAL}) {
    EXPECT_FALSE(accepted([&](auto& model) { model.set_default_guidance_scale(guidance); }));
  }
}

TEST_F(RankGroupTest, AGreetingIsSmall) {
  Hello hello = MakeHello("a", 0);
  for (int i = 0; i < 64; ++i) hello.add_capabilities(internal::v1::CAPABILITY_UNSPECIFIED);
  EXPECT_FALSE(Join(1, hello)->closed.has_value());
  hello = MakeHello("b", 0);
  hello.mutable_model()->set_digest(std::string(1024 * 1024, 'x'));
  EXPECT_THAT(std::string(Join(2, hello)->closed.value_or(absl::OkStatus()).message()),
              HasSubstr("the limit is 1048576"));
}

TEST_F(RankGroupTest, WithoutRandomBytesNoGroupForms) {
  make_token_ = [] { return absl::InternalError("no random bytes"); };
  Join(1, MakeHello("b", 0));
  const auto a = Join(2, MakeHello("a", 0));
  EXPECT_TRUE(a->last().has_shutdown());
  EXPECT_EQ("no random bytes", a->last().shutdown().reason());
  EXPECT_EQ(0, Board().ranks_size());
}

TEST_F(RankGroupTest, SilenceIsNoticedWhileGatheringAndForming) {
  const auto waiting = Join(1, MakeHello("b", 0));
  Pass(seconds(5));
  EXPECT_EQ(v1::RANK_SUSPECT, Board().ranks(0).state());
  Pass(seconds(10));
  EXPECT_TRUE(waiting->sent_away());
  EXPECT_EQ(0, Board().ranks_size());
  EXPECT_THAT(recorder_.told, IsEmpty());

  Join(2, MakeHello("b", 0));
  Join(3, MakeHello("a", 0));
  Pass(seconds(14));
  Beat(2);
  Pass(seconds(1));
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("rank 0 of group g"));
}

// Ranks of the same digest may still have been given other bytes; those that do not say are let be.
TEST_F(RankGroupTest, RanksThatReadOtherWeightsDoNotForm) {
  for (const auto& [of_a, of_b, forms] :
       {std::tuple{7u, 7u, true}, {7u, 0u, true}, {0u, 7u, true}, {7u, 8u, false}}) {
    b_ = Join(1, MakeHello("b", 0));
    a_ = Join(2, MakeHello("a", 0));
    const int64_t epoch = a_->last().assign().epoch();
    Formed(1, epoch, of_b);
    Formed(2, epoch, of_a);
    if (forms) {
      EXPECT_FALSE(a_->last().has_shutdown());
      groups_.OnGone(1);
      groups_.OnGone(2);
      continue;
    }
    EXPECT_EQ(a_->last().shutdown().reason(), b_->last().shutdown().reason());
    EXPECT_EQ(a_->last().shutdown().reason(),
              "rank b:cpu (local rank 0) of group g read other weights than rank a:cpu (local rank "
              "0): CRC-32C 00000008 against 00000007");
  }
}

TEST_F(RankGroupTest, ARankThatComesBackEndsItsOldEpoch) {
  Form();
  const auto again = Join(3, MakeHello("b", 0));
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_TRUE(b_->sent_away());
  EXPECT_EQ(1, Board().ranks_size());
  EXPECT_THAT(again->sent, IsEmpty());
}

TEST_F(RankGroupTest, AWaitingRankMayLeaveOrBeReplaced) {
  const auto first = Join(1, MakeHello("a", 0));
  Join(2, MakeHello("a", 0));
  EXPECT_TRUE(first->sent_away());
  EXPECT_EQ(1, Board().ranks_size());
  groups_.OnGone(2);
  EXPECT_EQ(0, Board().ranks_size());
  EXPECT_THAT(recorder_.told, IsEmpty());
}

Hello MakeProcess(const std::string& host, int64_t pid) {
  Hello hello = MakeHello(host, 0);
  hello.set_pid(pid);
  return hello;
}

// Started by mistake: the two would throw each other out for ever, and each round charge a job.
TEST_F(RankGroupTest, ASecondWorkerOfADeviceIsRefusedWhileTheFirstLives) {
  b_ = Join(1, MakeProcess("b", 100));
  a_ = Join(2, MakeProcess("a", 200));
  Formed(1, a_->last().assign().epoch());
  Formed(2, a_->last().assign().epoch());
  group_ = recorder_.groups.at("g");
  Start();
  const auto second = Join(3, MakeProcess("b", 101));
  ASSERT_TRUE(second->closed.has_value());
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, second->closed->code());
  EXPECT_EQ("RANK_PRESENT", ErrorReason(*second->closed));
  EXPECT_THAT(std::string(second->closed->message()),
              HasSubstr("b:cpu (local rank 0) of group g is there already, as process 100; this is "
                        "process 101"));
  EXPECT_TRUE(second->sent_away()) << "it may try again: the first may be about to go";
  EXPECT_THAT(recorder_.told, IsEmpty());
  for (int i = 0; i < 5; ++i) {
    Beat(2);
    Pass(seconds(1));
  }
  EXPECT_FALSE(Join(4, MakeProcess("b", 102))->closed.has_value()) << "the first is silent";
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
}

TEST_F(RankGroupTest, OneRankTooManyIsRefused) {
  Form();
  const auto third = Join(3, MakeHello("c", 0));
  ASSERT_TRUE(third->closed.has_value());
  EXPECT_EQ("GROUP_COMPLETE", ErrorReason(*third->closed));
  EXPECT_THAT(recorder_.told, IsEmpty());
}

TEST_F(RankGroupTest, AGroupMayFormForAsLongAsWeightsCome) {
  Join(1, MakeHello("b", 0));
  const int64_t epoch = Join(2, MakeHello("a", 0))->last().assign().epoch();
  for (int second = 1; second <= 300; ++second) {  // rank 1 has loaded, rank 2 still does
    Beat(1, epoch, /*step=*/1000);
    Beat(2, epoch, second);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, IsEmpty());
  for (int second = 0; second < 60; ++second) {
    Beat(1, epoch, 1000);
    Beat(2, epoch, 300);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
}

TEST(WorldOrder, IsByHostThenLocalRank) {
  const std::vector<Hello> members = {MakeHello("b", 10), MakeHello("b", 2), MakeHello("a", 1),
                                      MakeHello("a", 0)};
  EXPECT_THAT(WorldOrder(members), ElementsAre(3, 2, 1, 0));
}

}  // namespace
}  // namespace cogwheel
