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
  bool wavefront_on_gpus = false;
  bool replaces_killed_for_memory = false;
};

internal::v1::Hello ToHello(const RankIdentity& identity);

// Every order but CancelJob and StopJob. A job of which this build can make nothing (a value that
// it does not know, numbers that cannot be) comes with its problem, so that it is refused alone.
// INTERNAL for a message that is no order; UNIMPLEMENTED for one of unknown kind.
absl::StatusOr<Order> ToOrder(internal::v1::FrontendMessage message);

// The answer to a message of unknown kind.
internal::v1::NotUnderstood ToNotUnderstood(const internal::v1::FrontendMessage& message);

void SetStage(Stage stage, internal::v1::Progress& progress);

}  // namespace cogwheel
