#include "server/store/sqlite/store_writer.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>

#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

// What callers send in crowds keeps no claim and no end of a job out.
TEST(StoreWriter, RefusesAtOnceWhatIsBeyondItsBound) {
  constexpr int kMostWaiting = 1024;
  const TemporaryFolder folder;
  ServerMetrics metrics(MakeRegistry());
  std::promise<void> busy, disk_answers;
  std::atomic<int> written = 0;
  {
    StoreWriter writer(
        {Connection::Open(folder.path() + "/db", "", Connection::Mode::kWrite).value(), metrics,
         [](Connection&) {}});
    writer.Post(
        "Hang",
        [&](Connection&) {
          busy.set_value();
          disk_answers.get_future().wait_for(std::chrono::seconds(20));
          return absl::OkStatus();
        },
        [](const absl::Status&) {});
    busy.get_future().wait();
    const auto write = [](Connection&) { return absl::OkStatus(); };
    for (int i = 0; i < kMostWaiting; ++i) {
      writer.Post("Write", write, [&written](const absl::Status& s) { written += s.ok() ? 1 : 0; });
    }
    absl::Status refused;  // at once: the bound is asked where it is posted
    writer.Post("Write", write, [&refused](absl::Status status) { refused = std::move(status); });
    EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
    EXPECT_EQ("STORE", ErrorReason(refused));
    writer.Post(
        "Finish", write, [&written](const absl::Status& s) { written += s.ok() ? 1 : 0; },
        StoreWriter::Origin::kServer);
    EXPECT_EQ(0, written);
    disk_answers.set_value();
  }
  EXPECT_EQ(kMostWaiting + 1, written);
}

}  // namespace
}  // namespace cogwheel
