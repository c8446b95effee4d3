#pragma once

#include <absl/status/statusor.h>

#include "cogwheel/internal/v1/rank_control.pb.h"
#include "worker/pipeline/pipeline.h"
#include "worker/rank/job_mailbox.h"

// Between wire messages and plain values. Pure.
namespace cogwheel {

// What a rank says of itself when it joins.
struct RankIdentity {
  std::string group;
  Mesh mesh;
  std::string host;
  std::string device;
  int local_rank = 0;
  std::string code_version;
  std::string nccl_version;  // empty on the CPU
  std::string dtype;
  ModelDescription model;
  std::string peer_address;
};

internal::v1::Hello ToHello(const RankIdentity& identity);

// Every order but CancelJob. INTERNAL for a message that makes no sense.
absl::StatusOr<Order> ToOrder(internal::v1::FrontendMessage message);

std::string_view StageName(Stage stage);

}  // namespace cogwheel
