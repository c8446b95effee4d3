#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cogwheel/internal/v1/rank_control.pb.h"
#include "cogwheel/v1/video_service.pb.h"
#include "server/job/needs.h"

// Who may be in a group together, and in what order. Pure.
namespace cogwheel {

// "host3:cuda:1 (local rank 1)".
std::string RankName(const internal::v1::Hello& hello);

int WorldSize(const internal::v1::Mesh& mesh);
std::string MeshText(const internal::v1::Mesh& mesh);

// nullopt for one that this build does not know.
std::optional<v1::Scheduler> DefaultSchedulerOf(const internal::v1::ModelInfo& model);

// Of rank_control.proto, in which the rank is to be spoken to: the later one that both sides know.
// FAILED_PRECONDITION (PROTOCOL) when there is none, with both numbers and what to update.
absl::StatusOr<int> SpokenProtocol(const internal::v1::Hello& hello);

Capabilities CapabilitiesOf(const internal::v1::Hello& hello);

// OK when the two ranks can work together; otherwise FAILED_PRECONDITION naming what differs, both
// values and both ranks.
absl::Status CheckSame(const internal::v1::Hello& member, const internal::v1::Hello& candidate);

// Indices into `members` by world rank: ordered by (host, local rank, device).
std::vector<size_t> WorldOrder(const std::vector<internal::v1::Hello>& members);

// Of its checkpoint; "" from ranks of protocol 1, which make it of other bytes: to compare theirs
// with ours would tell one checkpoint from itself.
std::string DigestOf(const internal::v1::Hello& hello);

// What clients see of a rank's ModelInfo. `ready` is left false.
v1::Model ToModel(const internal::v1::Hello& hello);

}  // namespace cogwheel
