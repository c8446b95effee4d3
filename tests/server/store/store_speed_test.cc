#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

constexpr int kJobs = 2000;

// Milliseconds of each durable Create of 2 KiB, by one of `callers`.
std::vector<double> Measure(JobStore& store, int callers, double& seconds) {
  std::vector<std::vector<double>> took(static_cast<size_t>(callers));
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int caller = 0; caller < callers; ++caller) {
    threads.emplace_back([&store, &mine = took[caller], callers, caller] {
      for (int i = 0; i < kJobs / callers; ++i) {
        NewJob job;
        job.job.name = absl::StrCat("jobs/", callers, "-", caller, "-", i);
        job.job.tenant = "default";
        job.job.request.set_prompt(std::string(2048, 'p'));
        job.request_id = job.job.name;
        const auto begin = std::chrono::steady_clock::now();
        ASSERT_TRUE(CreateAndWait(store, std::move(job)).ok());
        const std::chrono::duration<double, std::milli> one =
            std::chrono::steady_clock::now() - begin;
        mine.push_back(one.count());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::vector<double> all;
  for (const std::vector<double>& mine : took) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  return all;
}

// Prints figures; run it with --gtest_also_run_disabled_tests --gtest_filter=*Speed*.
TEST(StoreSpeedTest, DISABLED_DurableCreates) {
  const auto under_test = MakeSqliteStore();
  for (const int callers : {1, 32}) {
    double seconds = 0;
    const std::vector<double> ms = Measure(under_test->store(), callers, seconds);
    std::printf("%2d callers: %.0f jobs/s, p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", callers,
                static_cast<double>(ms.size()) / seconds, ms[ms.size() / 2],
                ms[ms.size() * 99 / 100], ms.back());
  }
}

}  // namespace
}  // namespace cogwheel
