#include "worker/rank/job_mailbox.h"

#include <thread>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

TEST(JobMailboxTest, KeepsOrderAndBound) {
  JobMailbox mailbox(2);
  EXPECT_TRUE(mailbox.Push(StartOrder{.job_sequence = 1}).ok());
  EXPECT_TRUE(mailbox.Push(DropOrder{.job_sequence = 2}).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(mailbox.Push(StartOrder{})));
  EXPECT_EQ(std::get<StartOrder>(*mailbox.Pop(std::chrono::seconds(1))).job_sequence, 1);
  EXPECT_EQ(std::get<DropOrder>(*mailbox.Pop(std::chrono::seconds(1))).job_sequence, 2);
  EXPECT_TRUE(absl::IsDeadlineExceeded(mailbox.Pop(std::chrono::milliseconds(1)).status()));
}

TEST(JobMailboxTest, CloseWakesAWaitingReader) {
  JobMailbox mailbox(2);
  absl::Status popped;
  std::thread reader([&] { popped = mailbox.Pop(std::chrono::seconds(60)).status(); });
  mailbox.Close();
  reader.join();
  EXPECT_TRUE(absl::IsCancelled(popped));
  EXPECT_TRUE(absl::IsCancelled(mailbox.Push(StartOrder{})));
}

TEST(JobMailboxTest, WhatWasPutBeforeCloseIsHandedOut) {
  JobMailbox mailbox(2);
  EXPECT_TRUE(mailbox.Push(LinkLost{.reason = "x"}).ok());
  mailbox.Close();
  EXPECT_TRUE(mailbox.Pop(std::chrono::seconds(1)).ok());
  EXPECT_TRUE(absl::IsCancelled(mailbox.Pop(std::chrono::seconds(1)).status()));
}

}  // namespace
}  // namespace cogwheel
