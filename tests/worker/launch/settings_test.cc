#include "worker/settings.h"

#include <cmath>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

config::v1::WorkerConfig Config(int cfg, int ring, int ulysses) {
  config::v1::WorkerConfig config;
  config.set_model("m");
  config.set_cfg_parallel(cfg);
  config.set_ring(ring);
  config.set_ulysses(ulysses);
  return config;
}

TEST(SettingsTest, FillsInWhatIsNotSaid) {
  config::v1::WorkerConfig config;
  config.set_model("m");
  const auto settings = CheckSettings(config, {.cores = 8});
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->rank_count, 1);
  EXPECT_EQ(settings->cpu_threads, 8);
  EXPECT_EQ(settings->frontend, "127.0.0.1:50051");
  EXPECT_EQ(settings->group, "default");
  EXPECT_EQ(settings->step_timeout_seconds, 600);
  EXPECT_EQ(settings->shutdown_grace_seconds, 3600);
  EXPECT_FALSE(settings->dtype.has_value());
  EXPECT_FALSE(settings->wavefront_on_gpus);
  config.set_wavefront_on_gpus(true);
  EXPECT_TRUE(CheckSettings(config, {.cores = 8})->wavefront_on_gpus);
}

TEST(SettingsTest, RefusesAFrontendThatNobodyCanDial) {
  config::v1::WorkerConfig config;
  config.set_model("m");
  for (const char* good : {"host:1", "10.0.0.1:65535", "[::1]:50051"}) {
    config.set_frontend(good);
    EXPECT_TRUE(CheckSettings(config, {.cores = 1}).ok()) << good;
  }
  for (const char* wrong : {"", "host", "host:0", "host:65536", ":1", "::1:50051", "http://h:1"}) {
    config.set_frontend(wrong);
    EXPECT_NE(CheckSettings(config, {.cores = 1}).status().message().find("is not HOST:PORT"),
              std::string::npos)
        << wrong;
  }
}

TEST(SettingsTest, AModelsNameCanBeShown) {
  config::v1::WorkerConfig config;
  config.set_model("m");
  for (const std::string& good : {std::string("with space \u00e9"), std::string(128, 'n')}) {
    config.set_model_name(good);
    EXPECT_TRUE(CheckSettings(config, {.cores = 1}).ok()) << good;
  }
  for (const std::string& wrong :
       {std::string("\xff\xfe"), std::string("cut \xc3"), std::string("two\nlines"),
        std::string("\x7f"), std::string("next\u0085line"), std::string(129, 'n')}) {
    config.set_model_name(wrong);
    const std::string said(CheckSettings(config, {.cores = 1}).status().message());
    EXPECT_TRUE(said.starts_with("model_name ")) << said;
    EXPECT_EQ(said.find_first_of("\n\x7f\xff\xc2"), std::string::npos) << said;
  }
}

// The published 5b models leave the range of fp16, whatever their files hold.
TEST(SettingsTest, Fp16IsNeverTheDefaultOfARotaryModel) {
  const auto on_gpu = [](Dtype stored, bool rotary) {
    return DefaultDtype(DeviceKind::kCuda, {.stored_dtype = stored, .rotary = rotary});
  };
  for (const Dtype stored : {Dtype::kFp16, Dtype::kBf16, Dtype::kFp32}) {
    EXPECT_EQ(on_gpu(stored, /*rotary=*/true), Dtype::kBf16);
    EXPECT_EQ(on_gpu(stored, /*rotary=*/false), stored);
    EXPECT_EQ(DefaultDtype(DeviceKind::kCpu, {.stored_dtype = stored, .rotary = true}),
              Dtype::kFp32);
    EXPECT_EQ(CheckDtypeFits(Dtype::kFp16, {.stored_dtype = stored, .rotary = true}).ok(),
              stored != Dtype::kBf16);
  }
}

TEST(SettingsTest, APeakIsAboveZero) {
  config::v1::WorkerConfig config;
  config.set_model("m");
  EXPECT_FALSE(CheckSettings(config, {.cores = 8})->device_peak_teraflops.has_value());
  config.set_device_peak_teraflops(2250);
  EXPECT_EQ(CheckSettings(config, {.cores = 8})->device_peak_teraflops, 2250);
  for (const double peak : {0.0, -1.0, std::nan("")}) {
    config.set_device_peak_teraflops(peak);
    EXPECT_TRUE(absl::IsInvalidArgument(CheckSettings(config, {.cores = 8}).status())) << peak;
  }
}

TEST(SettingsTest, SharesTheCores) {
  EXPECT_EQ(CheckSettings(Config(1, 1, 3), {.cores = 8})->cpu_threads, 2);
  EXPECT_EQ(CheckSettings(Config(2, 3, 2), {.cores = 2})->cpu_threads, 1);
}

TEST(SettingsTest, RefusesMeshesThatCannotBe) {
  for (const auto& [cfg, ring, ulysses] :
       {std::tuple{0, 1, 1}, {3, 1, 1}, {1, 0, 1}, {1, 17, 1}, {1, 1, -1}, {2, 3, 3}}) {
    const auto settings = CheckSettings(Config(cfg, ring, ulysses), {.cores = 2});
    EXPECT_TRUE(absl::IsInvalidArgument(settings.status())) << cfg << " " << ring << " " << ulysses;
  }
  config::v1::WorkerConfig config = Config(1, 2, 2);
  config.set_ranks(3);
  EXPECT_NE(CheckSettings(config, {.cores = 2}).status().message().find("ranks 3"),
            std::string::npos);
  config.set_peer_host("10.0.0.1");  // the fourth may be on another host
  EXPECT_TRUE(CheckSettings(config, {.cores = 2}).ok());
  config.set_ranks(5);
  EXPECT_FALSE(CheckSettings(config, {.cores = 2}).ok());
}

// A number of ranks alone makes no mesh on the CPU: the refusal says what does.
TEST(SettingsTest, RanksWithoutAMeshAreToldOfOne) {
  config::v1::WorkerConfig config;
  config.set_model("m");
  const auto said = [&config](int ranks) {
    config.set_ranks(ranks);
    return std::string(CheckSettings(config, {.cores = 2}).status().message());
  };
  EXPECT_NE(said(4).find("add --ulysses 4"), std::string::npos) << said(4);
  EXPECT_NE(said(40).find("--ranks 16 --ulysses 16"), std::string::npos) << said(40);
  EXPECT_NE(said(0).find("the only legal value on one host is 1"), std::string::npos) << said(0);
  config.set_ulysses(16);
  EXPECT_EQ(said(16), "");
  const std::string large(CheckSettings(Config(2, 5, 4), {.cores = 2}).status().message());
  EXPECT_NE(large.find("--cfg-parallel 2 --ring 4 --ulysses 2"), std::string::npos) << large;
  EXPECT_TRUE(CheckSettings(Config(2, 4, 2), {.cores = 2}).ok());
}

// What is named is accepted on the same machine.
TEST(SettingsTest, ALegalMeshHasAGpuForEachRank) {
  const Machine machine = {.cores = 8, .gpus = 8};
  config::v1::WorkerConfig config;
  config.set_model("m");
  config.set_ranks(40);
  const std::string ranks(CheckSettings(config, machine).status().message());
  EXPECT_NE(ranks.find("--ranks 8 --ulysses 8"), std::string::npos) << ranks;
  EXPECT_TRUE(CheckSettings(Config(1, 1, 8), machine).ok());
  const std::string mesh(CheckSettings(Config(1, 5, 4), machine).status().message());
  EXPECT_NE(mesh.find("--cfg-parallel 1 --ring 4 --ulysses 2"), std::string::npos) << mesh;
  EXPECT_TRUE(CheckSettings(Config(1, 4, 2), machine).ok());
  config.set_device("cpu");
  const std::string on_cpu(CheckSettings(config, machine).status().message());
  EXPECT_NE(on_cpu.find("--ranks 16 --ulysses 16"), std::string::npos) << on_cpu;
}

// A GPU a rank, where there are any and the CPU is not asked for.
TEST(SettingsTest, TakesGpusThatAreThere) {
  config::v1::WorkerConfig config = Config(1, 1, 2);
  EXPECT_EQ(CheckSettings(config, {.gpus = 2})->device, DeviceKind::kCuda);
  EXPECT_EQ(CheckSettings(config, {.gpus = 0})->device, DeviceKind::kCpu);
  EXPECT_NE(CheckSettings(config, {.gpus = 1}).status().message().find("the most is 1"),
            std::string::npos);
  config.set_device("cpu");
  EXPECT_EQ(CheckSettings(config, {.gpus = 1})->device, DeviceKind::kCpu);
}

TEST(SettingsTest, TakesTheBestMeshOfTheGpus) {
  const Mesh best[] = {{1, 1, 1}, {2, 1, 1}, {1, 1, 3}, {2, 1, 2},
                       {1, 1, 5}, {2, 1, 3}, {1, 1, 7}, {2, 1, 4}};
  for (int gpus = 1; gpus <= 8; ++gpus) {
    config::v1::WorkerConfig config;
    config.set_model("m");
    const auto all = CheckSettings(config, {.cores = 8, .gpus = gpus});
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(all->mesh, best[gpus - 1]) << gpus;
    EXPECT_EQ(all->rank_count, gpus);
    EXPECT_EQ(all->device, DeviceKind::kCuda);
    // Without guidance as many ranks share one branch.
    EXPECT_EQ(all->mesh.ForGuidance(false).shard_count(), gpus);
    config.set_ranks(gpus);
    EXPECT_EQ(CheckSettings(config, {.cores = 8, .gpus = 8})->mesh, best[gpus - 1]) << gpus;
    config.set_device("cpu");
    config.clear_ranks();
    EXPECT_EQ(CheckSettings(config, {.cores = 8, .gpus = gpus})->mesh, Mesh{});
  }
}

TEST(SettingsTest, ASideOfTheMeshSetsTheOthersToOne) {
  config::v1::WorkerConfig config;
  config.set_model("m");
  config.set_ring(2);
  EXPECT_EQ(CheckSettings(config, {.gpus = 8})->mesh, (Mesh{1, 2, 1}));
  config.clear_ring();
  config.set_ranks(9);
  EXPECT_NE(CheckSettings(config, {.gpus = 8}).status().message().find("the most is 8"),
            std::string::npos);
  config.set_ranks(-1);
  EXPECT_FALSE(CheckSettings(config, {.gpus = 8}).ok());
  config.set_ranks(32);
  EXPECT_FALSE(CheckSettings(config, {.gpus = 32}).ok());
  config.clear_ranks();
  EXPECT_EQ(CheckSettings(config, {.gpus = 32})->rank_count, 16);
}

TEST(SettingsTest, RefusesWhatThisBuildDoesNotHave) {
  config::v1::WorkerConfig config = Config(1, 1, 1);
  config.set_device("cuda");
  const auto refused =
      CheckSettings(config, {.why_no_gpus = "built without CUDA", .way_to_gpus = "do this"});
  EXPECT_EQ(refused.status().message(),
            "device cuda: built without CUDA; the nearest legal value is cpu; for GPUs: do this");
  config.set_device("tpu");
  EXPECT_FALSE(CheckSettings(config, {.cores = 2}).ok());
  config.set_device("cpu");
  config.set_dtype("int8");
  EXPECT_FALSE(CheckSettings(config, {.cores = 2}).ok());
  config.set_dtype("bf16");
  EXPECT_EQ(CheckSettings(config, {.cores = 2})->dtype, Dtype::kBf16);
  config.clear_model();
  EXPECT_FALSE(CheckSettings(config, {.cores = 2}).ok());
  ModelDescription model;
  model.stored_dtype = Dtype::kBf16;
  EXPECT_EQ(DefaultDtype(DeviceKind::kCuda, model), Dtype::kBf16);
  EXPECT_EQ(DefaultDtype(DeviceKind::kCpu, model), Dtype::kFp32);
  EXPECT_FALSE(CheckDtypeFits(Dtype::kFp16, model).ok());
  EXPECT_TRUE(CheckDtypeFits(Dtype::kBf16, model).ok());
  model.stored_dtype = Dtype::kFp16;
  EXPECT_TRUE(CheckDtypeFits(Dtype::kFp16, model).ok());
}

TEST(SettingsTest, EachRankNeedsAnAdminPort) {
  config::v1::WorkerConfig config;
  config.set_model("m");
  config.set_ring(4);
  const auto refused = [&](const std::string& address) {
    config.set_admin_listen(address);
    return !CheckSettings(config, {.cores = 4}).ok();
  };
  EXPECT_FALSE(refused(""));
  EXPECT_FALSE(refused("127.0.0.1:0"));
  EXPECT_FALSE(refused("127.0.0.1:65532"));
  EXPECT_TRUE(refused("127.0.0.1:65533"));
  EXPECT_TRUE(refused("127.0.0.1"));
  EXPECT_TRUE(refused("127.0.0.1:x"));
  EXPECT_TRUE(refused(":9090"));
}

}  // namespace
}  // namespace cogwheel
