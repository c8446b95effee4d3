#pragma once

#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cogwheel/v1/video_service.pb.h"
#include "server/store/sqlite/sqlite.h"

// What ranks said of the models they bring, in the caller's transaction.
namespace cogwheel {

// Over an earlier description of the same name.
absl::Status InsertModel(Connection& connection, const v1::Model& model);
// In the order in which the names were first seen.
absl::StatusOr<std::vector<v1::Model>> ReadModels(Connection& connection);

}  // namespace cogwheel
