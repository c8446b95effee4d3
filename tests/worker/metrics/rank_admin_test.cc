#include "worker/metrics/rank_admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/http_get.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

class RankAdminTest : public testing::Test {
 protected:
  RankAdminTest() {
    const absl::Status listening = admin_.Listen("127.0.0.1:0", 3, recorder_);
    EXPECT_TRUE(listening.ok()) << listening;
  }
  ~RankAdminTest() override { admin_.Close(); }

  RankAdmin admin_{{.group = "g", .model = "m", .version = "1.2", .peak_operations = 5e14}};
  FlightRecorder recorder_{admin_.Hooks()};
};

TEST_F(RankAdminTest, IsReadyWhileItStandsInAGroup) {
  EXPECT_THAT(HttpGet(admin_.address(), "/livez"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(HttpGet(admin_.address(), "/readyz"), HasSubstr("the group has not formed"));
  admin_.Formed(7, 2);
  EXPECT_THAT(HttpGet(admin_.address(), "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(HttpGet(admin_.address(), "/statusz"), HasSubstr("\"epoch\":7"));
  admin_.Drain();
  EXPECT_THAT(HttpGet(admin_.address(), "/readyz"), StartsWith("HTTP/1.1 503"));
}

TEST_F(RankAdminTest, MetersWhatTheRecorderSees) {
  admin_.Loaded({{"all", 3}, {"vae", 0.5}});
  admin_.Formed(7, 2);
  const FlightRecorder::Time start{};
  recorder_.EnterBlock(BlockKind::kText, start);
  recorder_.EnterBlock(BlockKind::kStep, start + seconds(1));
  recorder_.BlockAgreed(start + seconds(1));
  recorder_.Started("ring", 100, start);
  recorder_.Waited(seconds(1));
  *admin_.operations() = 3e12;
  recorder_.EnterBlock(BlockKind::kStep, start + seconds(3));
  recorder_.EnterBlock(BlockKind::kStep, start + seconds(5));
  // A cancelled job: that last step was not done.
  recorder_.EnterBlock(BlockKind::kNone, start + seconds(6), /*whole=*/false);
  admin_.LeftJob("NOT_FINITE");
  HttpGet(admin_.address(), "/metrics");
  recorder_.Started("ring", 11, start);
  const std::string text = HttpGet(admin_.address(), "/metrics");
  for (const char* line : {
           "cogwheel_build_info{nccl=\"\",version=\"1.2\"} 1\n",
           "cogwheel_ready 1\n",
           "cogwheel_pipeline_steps_total{group=\"g\",model=\"m\",rank=\"2\"} 2\n",
           "cogwheel_pipeline_step_duration_seconds_sum{group=\"g\",model=\"m\",rank=\"2\"} 4\n",
           "cogwheel_pipeline_busy_seconds_total{group=\"g\",rank=\"2\",stage=\"denoise\"} 5\n",
           "cogwheel_pipeline_busy_seconds_total{group=\"g\",rank=\"2\",stage=\"text_encode\"} 1\n",
           "cogwheel_pipeline_step_agreement_seconds_count{group=\"g\"} 1\n",
           "cogwheel_pipeline_operations_total{group=\"g\",model=\"m\",rank=\"2\"} 3000000000000\n",
           "cogwheel_parallel_step_wait_seconds_total{group=\"g\",model=\"m\",rank=\"2\"} 1\n",
           "cogwheel_device_peak_operations{group=\"g\",rank=\"2\"} 500000000000000\n",
           "cogwheel_parallel_collective_bytes_total{group=\"g\",op=\"ring\",rank=\"2\"} 111\n",
           "cogwheel_model_load_duration_seconds{component=\"all\",group=\"g\",rank=\"2\"} 3\n",
           "cogwheel_model_load_duration_seconds{component=\"vae\",group=\"g\",rank=\"2\"} 0.5\n",
           "cogwheel_rank_jobs_failed_total{group=\"g\",rank=\"2\",reason=\"NOT_FINITE\"} 1\n",
           "cogwheel_launch_cold_start_seconds{group=\"g\"} ",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace cogwheel
