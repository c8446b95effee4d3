#pragma once

#include <string>

#include <absl/status/statusor.h>

namespace cogwheel {

// The text of a secret's file without the line end: 16 to 4096 bytes, else INVALID_ARGUMENT naming
// the file (never what it holds).
absl::StatusOr<std::string> ReadSecret(const std::string& file);

// The text of a PEM file, else INVALID_ARGUMENT naming the file.
absl::StatusOr<std::string> ReadPem(const std::string& file);

}  // namespace cogwheel
