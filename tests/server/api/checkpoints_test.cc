// Two checkpoints of one model name, and what ranks have to say of a job, as clients see it.
#include <gmock/gmock.h>

#include "tests/server/api/frontend_fixture.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointsTest : public FrontendTest {
 protected:
  v1::Model Model() {
    grpc::ClientContext context;
    v1::ListModelsResponse models;
    EXPECT_TRUE(stub_->ListModels(&context, v1::ListModelsRequest(), &models).ok());
    EXPECT_EQ(1, models.models_size());
    return models.models_size() == 1 ? models.models(0) : v1::Model();
  }
  void AwaitReady(const std::string& group) {
    Await([this, &group] {
      v1::GetGroupRequest request;
      request.set_name(group);
      v1::Group found;
      grpc::ClientContext context;
      return stub_->GetGroup(&context, request, &found).ok() && found.ready();
    });
  }
};

TEST_F(CheckpointsTest, AJobStaysWithTheOneThatItWasCheckedAgainst) {
  ServeWithRank({.group = "a", .digest = "old", .finish_on_start = false});
  const std::string running = Create(Request())->name();
  AwaitState(running, v1::RUNNING);
  const v1::Job waiting = Create(Request()).value();
  EXPECT_EQ("old", waiting.model_digest());
  {
    const FakeRank newer(frontend_->addresses().internal, {.group = "b", .digest = "new"});
    AwaitReady("b");
    EXPECT_EQ("new", Model().digest());
    EXPECT_THAT(Model().serving_digests(), ElementsAre("new", "old"));
    const v1::Job quick = Create(Request()).value();
    EXPECT_EQ("new", quick.model_digest());
    AwaitState(quick.name(), v1::SUCCEEDED);
    EXPECT_EQ("b", Get(quick.name())->group());
    EXPECT_EQ(v1::QUEUED, Get(waiting.name())->state());  // though b has been idle since
  }
  Await([this] { return Model().digest() == "old"; });  // b is gone
  rank_->SendDone(/*code=*/0, "");
  AwaitState(waiting.name(), v1::RUNNING);
  EXPECT_EQ("a", Get(waiting.name())->group());
}

// The first that ever came may be gone for good.
TEST_F(CheckpointsTest, WithoutAModelARequestGoesToTheFirstThatIsServed) {
  ServeWithRank({.group = "a", .model = "first", .finish_on_start = false});
  const auto model = [this] { return Create(Request())->request().model(); };
  {
    const FakeRank second(frontend_->addresses().internal,
                          {.group = "b", .model = "second", .finish_on_start = false});
    AwaitReady("b");
    EXPECT_EQ("first", model());
    rank_.reset();
    Await([&model] { return model() == "second"; });
  }
  Await([&model] { return model() == "first"; });  // none is served: it waits for the older name
}

TEST_F(CheckpointsTest, WarningsOfTheRanksAreTheJobs) {
  ServeWithRank({.digest = "d", .warnings = {"the model reads 16 tokens"}});
  const Events events = Generate(Request());
  bool started = false;
  for (const v1::JobEvent& event : events.events) {
    if (!event.has_started()) continue;
    started = true;
    EXPECT_EQ("d", event.started().model_digest());
    EXPECT_THAT(event.started().warnings(), ElementsAre("the model reads 16 tokens"));
  }
  EXPECT_TRUE(started);
  const v1::Job job = Get(events.events.back().job()).value();
  EXPECT_EQ(v1::SUCCEEDED, job.state());
  EXPECT_THAT(job.warnings(), ElementsAre(HasSubstr("16 tokens")));
}

// The rank runs another job: nothing but the frontend can have told.
TEST_F(CheckpointsTest, WordsThatTheModelDoesNotKnowAreToldBeforeTheJobRuns) {
  ServeWithRank({.digest = "d", .vocabulary = {"a", "circle"}, .finish_on_start = false});
  EXPECT_EQ("one shape", Model().description());
  EXPECT_THAT(Model().sample_prompts(), ElementsAre("a"));
  EXPECT_THAT(Model().vocabulary(), ElementsAre("a", "circle"));
  v1::GenerateRequest request = Request("first");
  request.set_prompt("A circle");
  const v1::Job known = Create(request).value();
  EXPECT_THAT(known.warnings(), ElementsAre());
  AwaitState(known.name(), v1::RUNNING);
  request.set_prompt("a cat, circle");
  request.set_request_id("second");
  const std::string told = "tiny draws one shape; it does not know: cat";
  const v1::Job job = Create(request).value();
  EXPECT_EQ(v1::QUEUED, job.state());
  EXPECT_THAT(job.warnings(), ElementsAre(told));
  EXPECT_THAT(Create(request)->warnings(), ElementsAre(told));
  EXPECT_THAT(Get(job.name())->warnings(), ElementsAre(told));
}

}  // namespace
}  // namespace cogwheel
