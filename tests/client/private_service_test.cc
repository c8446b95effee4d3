#include "client/private_service.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/shipped_model.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ReadFile(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(CheckMesh, NamesTheNearest) {
  EXPECT_TRUE(CheckMesh({}).ok());
  EXPECT_TRUE(CheckMesh({.cfg_parallel = 2, .ring = 2, .ulysses = 4}).ok());
  EXPECT_TRUE(CheckMesh({.ring = 16}).ok());
  const auto message = [](const RankFlags& ranks) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckMesh(ranks)));
    return std::string(CheckMesh(ranks).message());
  };
  EXPECT_THAT(message({.ring = 5, .ulysses = 4}), HasSubstr("20 ranks"));
  EXPECT_THAT(message({.cfg_parallel = 2, .ring = 4, .ulysses = 4}),
              HasSubstr("--cfg-parallel 2 --ring 4 --ulysses 2"));
}

TEST(WorkerArguments, AMeshSetsAllThreeSides) {
  PrivateService::Options options;
  options.model_folder = "/m";
  EXPECT_THAT(WorkerArguments("h:1", options), ElementsAre("--frontend", "h:1", "--model", "/m"));
  options.ranks.ring = 3;
  options.ranks.dtype = "fp32";
  EXPECT_THAT(WorkerArguments("h:1", options),
              ElementsAre("--frontend", "h:1", "--model", "/m", "--ranks", "3", "--cfg-parallel",
                          "1", "--ring", "3", "--ulysses", "1", "--dtype", "fp32"));
}

TEST(ReasonFromLog, PrefersTheProgramsOwnLine) {
  EXPECT_EQ(ReasonFromLog("noise\nprog: bad file\n{\"level\":\"error\"}\nmore\n", "prog"),
            "bad file");
  EXPECT_EQ(ReasonFromLog("{\"level\":\"error\",\"message\":\"m\",\"error\":\"e\"}\n{\"level\":"
                          "\"info\",\"message\":\"bye\"}\n",
                          "prog"),
            "m: e");
  EXPECT_EQ(ReasonFromLog("a\nlast\n{\"level\":\"info\"}\n\n", "prog"), "last");
  EXPECT_EQ(ReasonFromLog("{\"level\":\"info\"}\n{\"level\":7}\n", "prog"), "");
  EXPECT_EQ(ReasonFromLog("", "prog"), "");
}

// Shell scripts stand in for the two programs.
class PrivateServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "private_service_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directories(folder_ / "tmp");
    setenv("TMPDIR", (folder_ / "tmp").c_str(), 1);
    Program("cogwheel-server",
            "echo \"$@\" > " + (folder_ / "server_arguments").string() + "; env > " +
                (folder_ / "server_environment").string() +
                "; echo '{\"ready\":true,\"listen\":\"127.0.0.1:7\"}'; exec sleep 100");
    Program("cogwheel-worker", "echo '{\"ready\":true}'; exec sleep 100");
  }
  void TearDown() override {
    unsetenv("TMPDIR");
    fs::remove_all(folder_);
  }
  void Program(const std::string& name, const std::string& script) {
    std::ofstream(folder_ / name) << "#!/bin/sh\n" << script << "\n";
    fs::permissions(folder_ / name, fs::perms::owner_all);
  }
  absl::StatusOr<std::unique_ptr<PrivateService>> Start() {
    return PrivateService::Start(
        {.program_folder = folder_, .model_folder = "/m", .costs_file = "/c/costs.json"},
        [this] { return ++asked_ > stop_after_; });
  }
  std::string StartMessage(absl::StatusCode code) {
    const auto service = Start();
    EXPECT_EQ(service.status().code(), code) << service.status();
    return std::string(service.status().message());
  }
  bool TemporaryFolderIsEmpty() const { return fs::is_empty(folder_ / "tmp"); }

  fs::path folder_;
  int asked_ = 0, stop_after_ = 1'000'000;
};

TEST_F(PrivateServiceTest, StartsBothAndLeavesNothing) {
  setenv("COGWHEEL_LISTEN", "0.0.0.0:1", 1);
  {
    auto service = Start();
    ASSERT_TRUE(service.ok()) << service.status();
    EXPECT_EQ((*service)->address(), "127.0.0.1:7");
    EXPECT_TRUE((*service)->CheckAlive().ok());
    const fs::path data = *fs::directory_iterator(folder_ / "tmp");
    EXPECT_EQ(fs::status(data).permissions(), fs::perms::owner_all);
  }
  unsetenv("COGWHEEL_LISTEN");
  EXPECT_TRUE(TemporaryFolderIsEmpty());
  EXPECT_THAT(ReadFile(folder_ / "server_arguments"), HasSubstr("--listen 127.0.0.1:0"));
  EXPECT_THAT(ReadFile(folder_ / "server_arguments"), HasSubstr("--costs-file /c/costs.json"));
  EXPECT_THAT(ReadFile(folder_ / "server_environment"),
              ::testing::Not(HasSubstr("COGWHEEL_LISTEN")));
}

TEST_F(PrivateServiceTest, ACheckpointThatTheWorkerRefusesIsTheUsersMatter) {
  Program("cogwheel-worker", "echo 'cogwheel-worker: vae/config.json is damaged' >&2; exit 2");
  EXPECT_EQ(StartMessage(absl::StatusCode::kFailedPrecondition), "vae/config.json is damaged");
  EXPECT_TRUE(TemporaryFolderIsEmpty());
}

TEST_F(PrivateServiceTest, ACrashNamesTheSignalAndKeepsTheLog) {
  Program("cogwheel-worker", "echo 'about to crash' >&2; kill -SEGV $$");
  const std::string message = StartMessage(absl::StatusCode::kInternal);
  EXPECT_THAT(message, AllOf(HasSubstr("cogwheel-worker was ended by signal 11"),
                             HasSubstr("about to crash"), HasSubstr("; log: ")));
  const std::string log = message.substr(message.find("; log: ") + 7);
  EXPECT_THAT(ReadFile(log), HasSubstr("about to crash"));
}

TEST_F(PrivateServiceTest, AServerThatIsNotReadyIsUnavailable) {
  Program("cogwheel-server", "echo 'cogwheel-server: disk full' >&2; exit 3");
  EXPECT_THAT(StartMessage(absl::StatusCode::kUnavailable), HasSubstr("disk full"));
  Program("cogwheel-server", "echo nonsense; exec sleep 100");
  EXPECT_THAT(StartMessage(absl::StatusCode::kInternal), HasSubstr("did not tell its address"));
}

TEST_F(PrivateServiceTest, ADeadServerIsSeenWhileTheWorkerStarts) {
  Program("cogwheel-server", "echo '{\"ready\":true,\"listen\":\"127.0.0.1:7\"}'; exit 1");
  Program("cogwheel-worker", "exec sleep 100");
  EXPECT_THAT(StartMessage(absl::StatusCode::kInternal),
              HasSubstr("cogwheel-server ended with code 1"));
}

TEST_F(PrivateServiceTest, AnInterruptionEndsTheStart) {
  Program("cogwheel-worker", "exec sleep 100");
  stop_after_ = 5;
  EXPECT_EQ(StartMessage(absl::StatusCode::kCancelled), "interrupted");
  EXPECT_TRUE(TemporaryFolderIsEmpty());
}

TEST_F(PrivateServiceTest, AWorkerThatEndsLaterIsSeen) {
  Program("cogwheel-worker", "echo '{\"ready\":true}'; sleep 0.2; exit 70");
  auto service = Start();
  ASSERT_TRUE(service.ok()) << service.status();
  absl::Status alive;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (alive.ok() && std::chrono::steady_clock::now() < until) alive = (*service)->CheckAlive();
  EXPECT_THAT(std::string(alive.message()), HasSubstr("cogwheel-worker ended with code 70"));
}

TEST_F(PrivateServiceTest, MissingProgramsAreNamed) {
  fs::remove(folder_ / "cogwheel-worker");
  EXPECT_THAT(StartMessage(absl::StatusCode::kFailedPrecondition),
              HasSubstr("cogwheel-worker is not in"));
}

TEST_F(PrivateServiceTest, TheShippedModelIsFoundInThreePlaces) {
  const auto make = [this](const fs::path& place) {
    fs::create_directories(folder_ / place);
    std::ofstream(folder_ / place / "model_index.json") << "{}";
    return fs::canonical(folder_ / place);
  };
  const fs::path program_folder = folder_ / "build/release/bin";
  fs::create_directories(program_folder);
  const auto missing = FindShippedModel(program_folder, "");
  EXPECT_TRUE(absl::IsFailedPrecondition(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("--model"));
  const fs::path installed = make("build/release/share/cogwheel/models/shapes");
  EXPECT_EQ(*FindShippedModel(program_folder, ""), installed);
  const fs::path tree = make("models/shapes");
  EXPECT_EQ(*FindShippedModel(program_folder, ""), tree);
  const fs::path named = make("elsewhere/shapes");
  EXPECT_EQ(*FindShippedModel(program_folder, folder_ / "elsewhere"), named);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(FindShippedModel(program_folder, folder_ / "nowhere").status()))
      << "what the user names is not replaced";
}

}  // namespace
}  // namespace cogwheel
