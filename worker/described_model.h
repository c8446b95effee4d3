#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "worker/families/model_description.h"

// The launcher describes the model and hands the result to its ranks, in a file.
namespace cogwheel {

std::string ToText(const ModelDescription& model);
// INVALID_ARGUMENT for what ToText does not write.
absl::StatusOr<ModelDescription> ToModelDescription(const std::string& text);

// Of a file that holds such a text.
absl::StatusOr<ModelDescription> ReadDescription(const std::string& path);

// A description for the processes that this one starts, in memory and not among their arguments: it
// may be longer than those can be. Gone with this object.
class DescriptionFile {
 public:
  DescriptionFile() = default;
  ~DescriptionFile();
  DescriptionFile(const DescriptionFile&) = delete;
  DescriptionFile& operator=(const DescriptionFile&) = delete;

  // In place of the last one. The path that they read it by, or RESOURCE_EXHAUSTED.
  absl::StatusOr<std::string> Write(const ModelDescription& model);

 private:
  int fd_ = -1;
};

}  // namespace cogwheel
