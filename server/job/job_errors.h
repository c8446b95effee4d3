#pragma once

#include <string>

#include <absl/status/status.h>

#include "server/job/job.h"

// What every JobStore answers to calls that it refuses.
namespace cogwheel {

absl::Status UnknownJob(const std::string& name);
absl::Status Fenced(const std::string& name);
absl::Status NotFinished(const Job& job);
absl::Status KeyOfRemovedJob(const std::string& request_id, const std::string& job);
absl::Status KeyReused(const std::string& request_id, const std::string& job);
// Of InputRows.
absl::Status UnknownInput(const std::string& sha256);

}  // namespace cogwheel
