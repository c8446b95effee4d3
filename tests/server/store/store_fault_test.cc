#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/contract/status.h"
#include "server/store/files/durable_files.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

using Call = FaultVfs::Call;
using Fault = FaultVfs::Fault;

constexpr int kManyCalls = 2000;  // more than the history below makes of a kind

// Fails one call of a kind.
class OneFault {
 public:
  OneFault(FaultVfs& vfs, Call call, Fault fault, int number) : vfs_(vfs) {
    vfs.OnCall([this, call, fault, number](Call asked) {
      if (asked != call || count_++ != number) return Fault::kNone;
      fired_ = true;
      return fault;
    });
  }
  ~OneFault() { vfs_.OnCall(nullptr); }
  bool fired() const { return fired_; }

 private:
  FaultVfs& vfs_;
  std::atomic<int> count_{0};
  std::atomic<bool> fired_{false};
};

absl::StatusOr<std::unique_ptr<SqliteJobStore>> OpenFaulty(const std::string& folder,
                                                           ServerMetrics& metrics) {
  return SqliteJobStore::Open({.data_dir = folder, .vfs = FaultVfs::kName}, metrics);
}

NewJob SomeJob(const std::string& name) {
  NewJob job;
  job.job.name = name;
  job.job.tenant = "default";
  job.request_id = name;
  job.request_hash = "h";
  return job;
}

void ExpectStoreFailure(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  EXPECT_TRUE(reason == "STORE" || reason == "STORE_FULL") << status;
}

// What a history has been told is durable: name and whether it was ended.
struct Told {
  std::vector<std::string> created, cancelled;
};

// Jobs are created, and each second one ended. Goes on after a failure, as callers do.
Told SmallHistory(SqliteJobStore& store, const std::function<void(const absl::Status&)>& failed) {
  Told told;
  for (int i = 0; i < 4; ++i) {
    const std::string name = absl::StrCat("jobs/", i);
    const auto created = CreateAndWait(store, SomeJob(name));
    if (created.ok()) told.created.push_back(name);
    if (!created.ok()) failed(created.status());
    if (!created.ok() || i % 2 == 1) continue;
    const absl::StatusOr<Job> ended =
        BlockingStore(store).Finish(EndOf(created->job, JobState::kCancelled));
    if (ended.ok()) told.cancelled.push_back(name);
    if (!ended.ok()) failed(ended.status());
  }
  return told;
}

void ExpectKept(const std::string& folder, const Told& told) {
  ServerMetrics metrics{MakeRegistry()};
  auto store = SqliteJobStore::Open({.data_dir = folder}, metrics);
  ASSERT_TRUE(store.ok()) << store.status();
  for (const std::string& name : told.created) {
    EXPECT_TRUE((*store)->Get("default", name).ok()) << name;
  }
  for (const std::string& name : told.cancelled) {
    EXPECT_EQ(JobState::kCancelled, (*store)->Get("default", name)->state) << name;
  }
}

// True when the history made so many calls.
bool FailOnce(Call call, Fault fault, int number) {
  FaultVfs vfs;
  TemporaryFolder folder, image;
  ServerMetrics metrics{MakeRegistry()};
  Told told;
  OneFault one(vfs, call, fault, number);
  {
    auto store = OpenFaulty(folder.path(), metrics);
    if (store.ok()) {
      told = SmallHistory(**store, ExpectStoreFailure);
      const bool over = one.fired();
      const auto after = CreateAndWait(**store, SomeJob("jobs/after"));
      EXPECT_TRUE(after.ok() || !over) << after.status();
      if (after.ok()) told.created.push_back("jobs/after");
    } else {
      EXPECT_TRUE(one.fired()) << store.status();
    }
    vfs.SaveImage(image.path(), /*chance=*/nullptr);
  }
  ExpectKept(image.path(), told);
  return one.fired();
}

class StoreFaultTest : public testing::TestWithParam<std::pair<Call, Fault>> {};

TEST_P(StoreFaultTest, NoCallThatFailsMakesAnAnswerUntrue) {
  const auto [call, fault] = GetParam();
  int number = 0;
  while (number < kManyCalls && FailOnce(call, fault, number)) {
    if (HasFailure()) FAIL() << "at call " << number;
    ++number;
  }
  RecordProperty("calls", number);
  EXPECT_LT(3, number);
  EXPECT_LT(number, kManyCalls);
}

INSTANTIATE_TEST_SUITE_P(Calls, StoreFaultTest,
                         testing::Values(std::pair(Call::kOpen, Fault::kInputOutput),
                                         std::pair(Call::kRead, Fault::kInputOutput),
                                         std::pair(Call::kWrite, Fault::kInputOutput),
                                         std::pair(Call::kWrite, Fault::kFull),
                                         std::pair(Call::kWrite, Fault::kShortWrite)),
                         [](const auto& info) { return absl::StrCat("Kind", info.index); });

constexpr int kNeverReached = 0, kSurvived = 1;
// Enough to fill the log, so that it is copied into the main file and begun anew.
constexpr int kLargeJobs = 14, kLargePrompt = 350'000;

// In a process of its own; what it was told goes to a file.
[[noreturn]] void RunWithFailedSync(const std::string& folder, int number) {
  FaultVfs vfs;
  ServerMetrics metrics{MakeRegistry()};
  OneFault one(vfs, Call::kSync, Fault::kInputOutput, number);
  auto store = OpenFaulty(folder, metrics);
  std::ofstream log(folder + "/told");
  for (int i = 0; store.ok() && i < kLargeJobs; ++i) {
    NewJob job = SomeJob(absl::StrCat("jobs/", i));
    job.job.request.set_prompt(std::string(kLargePrompt, 'p'));
    if (CreateAndWait(**store, job).ok()) log << job.job.name << std::endl;
  }
  _exit(one.fired() ? kSurvived : kNeverReached);
}

// The child's exit code.
int ForkWithFailedSync(const std::string& folder, int number) {
  const pid_t child = fork();
  if (child == 0) RunWithFailedSync(folder, number);
  int status = 0;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST(FailedSyncTest, EndsTheProcessAndWhatWasToldIsKept) {
  int number = 0;
  for (; number < kManyCalls; ++number) {
    TemporaryFolder folder;
    const int code = ForkWithFailedSync(folder.path(), number);
    if (code == kNeverReached) {
      EXPECT_LT(kLargePrompt, fs::file_size(folder.path() + "/cogwheel.sqlite"));
      break;
    }
    ASSERT_EQ(kDiskFailedExit, code) << "sync " << number;
    Told told;
    std::ifstream log(folder.path() + "/told");
    for (std::string name; log >> name;) told.created.push_back(name);
    ExpectKept(folder.path(), told);
  }
  RecordProperty("syncs", number);
  EXPECT_LT(kLargeJobs, number);
}

}  // namespace
}  // namespace cogwheel
