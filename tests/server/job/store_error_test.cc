#include "server/job/store_error.h"

#include <string>

#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "server/job/fault.h"

namespace cogwheel {
namespace {

// B2: callers saw where the server keeps what.
TEST(StoreError, CallersSeeNoPath) {
  for (const StoreFault fault : {StoreFault::kFull, StoreFault::kFailed, StoreFault::kRefused}) {
    const absl::Status status = StoreError(fault, "cannot write /srv/data/x: no");
    EXPECT_EQ("cannot write /srv/data/x: no", StoreDetail(status));
    EXPECT_EQ(fault != StoreFault::kRefused, IsStoreFault(status));
    const grpc::Status told = ToGrpc(status);
    EXPECT_EQ(std::string::npos, told.error_message().find("/srv")) << told.error_message();
    EXPECT_EQ(std::string::npos, told.error_details().find("/srv"));
    EXPECT_EQ(ErrorReason(status), ErrorReason(FromGrpc(told)));
  }
  EXPECT_EQ("STORE_FULL", ErrorReason(StoreError(StoreFault::kFull, "")));
  EXPECT_EQ("message", StoreDetail(absl::InternalError("message")));
}

}  // namespace
}  // namespace cogwheel
