#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "base/mutex.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr int kRuns = 10, kImagesPerRun = 10, kRounds = 60, kCreatesPerRound = 4;
constexpr int kCallsPerImage = 300;  // about: a run makes some thousands

// What the store has acknowledged, at one moment.
struct Acknowledged {
  std::map<std::string, JobState> jobs;
  std::vector<std::string> deleted;
  int64_t epoch = 0;
  std::string in_flight;  // the job that a change was asked for and not yet answered
};

struct Image {
  TemporaryFolder folder;
  Acknowledged acknowledged;
};

// A history over a file system whose power may go at any of its calls.
class PowerLossRun {
 public:
  explicit PowerLossRun(unsigned seed) : chance_(seed) {
    store_ = SqliteJobStore::Open({.data_dir = folder_.path(), .vfs = FaultVfs::kName}, metrics_)
                 .value();
    vfs_.OnCall([this](FaultVfs::Call) { return PerhapsSaveImage(); });
  }
  ~PowerLossRun() { vfs_.OnCall(nullptr); }

  std::vector<std::unique_ptr<Image>> Run() {
    for (int round = 0; round < kRounds; ++round) {
      CreateSome(round);
      FinishSome();
      const int64_t epoch = store().NewEpoch({}).value();
      MutexLock lock(mutex_);
      now_.epoch = epoch;
    }
    MutexLock lock(mutex_);
    return std::move(images_);
  }

 private:
  // On the writer's thread, before a call is made.
  FaultVfs::Fault PerhapsSaveImage() {
    MutexLock lock(mutex_);
    if (images_.size() < kImagesPerRun && chance_() % kCallsPerImage == 0) {
      auto image = std::make_unique<Image>();
      vfs_.SaveImage(image->folder.path(), &chance_);
      image->acknowledged = now_;
      images_.push_back(std::move(image));
    }
    return FaultVfs::Fault::kNone;
  }

  void CreateSome(int round) {
    std::vector<std::promise<void>> answered(kCreatesPerRound);
    for (int i = 0; i < kCreatesPerRound; ++i) {
      NewJob job;
      job.job.name = absl::StrCat("jobs/", 1000 + round * kCreatesPerRound + i);
      job.job.tenant = "default";
      job.job.request.set_prompt(std::string(3000, 'p'));  // a page: the log fills
      job.request_id = job.job.name;
      job.request_hash = "h";
      store_->Create(std::move(job), [this, &answer = answered[i]](const auto& created) {
        ASSERT_TRUE(created.ok()) << created.status();
        {
          MutexLock lock(mutex_);
          now_.jobs[created->job.name] = JobState::kQueued;
        }
        answer.set_value();
      });
    }
    for (std::promise<void>& answer : answered) answer.get_future().wait();
  }

  void FinishSome() {
    const std::map<std::string, JobState> jobs = Now().jobs;
    for (const auto& [name, state] : jobs) {
      if (Chance() % 4 == 0) Advance(name, state);
    }
  }

  void Advance(const std::string& name, JobState state) {
    SetInFlight(name);
    if (IsTerminal(state)) {
      if (Chance() % 8 != 0) return SetInFlight("");
      ASSERT_TRUE(store().Delete(name).ok());
      MutexLock lock(mutex_);
      now_.jobs.erase(name);
      now_.deleted.push_back(name);
      return;
    }
    const Job job = store().Claim(name, "g", 1, {}).value();
    ASSERT_TRUE(store().Finish(EndOf(job, JobState::kCancelled)).ok());
    MutexLock lock(mutex_);
    now_.jobs[name] = JobState::kCancelled;
  }

  BlockingStore store() { return BlockingStore(*store_); }
  Acknowledged Now() {
    MutexLock lock(mutex_);
    return now_;
  }
  unsigned Chance() {
    MutexLock lock(mutex_);
    return static_cast<unsigned>(chance_());
  }
  void SetInFlight(const std::string& name) {
    MutexLock lock(mutex_);
    now_.in_flight = name;
  }

  FaultVfs vfs_;
  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
  Mutex mutex_;
  std::mt19937 chance_ COGWHEEL_GUARDED_BY(mutex_);
  Acknowledged now_ COGWHEEL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Image>> images_ COGWHEEL_GUARDED_BY(mutex_);
  std::unique_ptr<SqliteJobStore> store_;
};

void CheckJobs(SqliteJobStore& store, const Acknowledged& acknowledged) {
  for (const auto& [name, state] : acknowledged.jobs) {
    if (name == acknowledged.in_flight) continue;
    const absl::StatusOr<Job> job = store.Get("default", name);
    ASSERT_TRUE(job.ok()) << job.status();
    EXPECT_EQ(state, job->state) << name;
    const auto keyed = store.FindByRequestId("default", name, "h");
    ASSERT_TRUE(keyed.ok() && keyed->has_value()) << name;
    EXPECT_EQ(name, (*keyed)->name);
  }
  for (const std::string& name : acknowledged.deleted) {
    EXPECT_TRUE(absl::IsNotFound(store.Get("default", name).status())) << name;
  }
}

void CheckImage(const Image& image) {
  ServerMetrics metrics{MakeRegistry()};
  auto opened = SqliteJobStore::Open({.data_dir = image.folder.path()}, metrics);
  ASSERT_TRUE(opened.ok()) << opened.status();  // the integrity check is part of it
  SqliteJobStore& store = **opened;
  BlockingStore waited(store);
  const int64_t in_flight = static_cast<int64_t>(waited.Adopt().value().size());
  CheckJobs(store, image.acknowledged);
  int64_t accepted = 0, finished = 0;
  const JobTotals totals = store.Totals().value();
  for (const auto& [key, count] : totals.counts) {
    (key.state.has_value() ? finished : accepted) += count;
  }
  EXPECT_EQ(accepted, finished + in_flight);
  EXPECT_LT(image.acknowledged.epoch, waited.NewEpoch({}).value());
}

TEST(PowerLossTest, EveryAcknowledgedJobIsThereAfterIt) {
  size_t checked = 0, jobs = 0;
  for (unsigned seed = 1; seed <= kRuns; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const std::vector<std::unique_ptr<Image>> images = PowerLossRun(seed).Run();
    for (const auto& image : images) {
      CheckImage(*image);
      if (HasFailure()) return;
      ++checked;
      jobs += image->acknowledged.jobs.size();
    }
  }
  RecordProperty("images", static_cast<int>(checked));
  EXPECT_EQ(kRuns * kImagesPerRun, checked);
  EXPECT_LT(checked * 10, jobs);  // they were not empty
}

}  // namespace
}  // namespace cogwheel
