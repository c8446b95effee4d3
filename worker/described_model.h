#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "worker/families/model_description.h"

// The launcher describes the model and hands the result to its ranks, as one of their arguments.
namespace cogwheel {

std::string ToText(const ModelDescription& model);
// INVALID_ARGUMENT for what ToText does not write.
absl::StatusOr<ModelDescription> ToModelDescription(const std::string& text);

}  // namespace cogwheel
