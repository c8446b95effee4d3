#pragma once

#include <optional>
#include <string>

#include "base/finding.h"
#include "worker/families/family.h"

namespace cogwheel {

struct CheckpointView {
  Findings findings;
  std::optional<ModelDescription> model;  // of one that can be served
};

// Whether the family takes this folder: all its files, shapes, dtypes, the tokenizer. Reads samples
// of the weights. A refusal is the family's own, with the file's trouble where that is the cause,
// and what to do about it.
CheckpointView CheckCheckpoint(const Family& family, const ModelSource& source);

// The finding for such a refusal.
Finding CheckpointFault(const std::string& model_dir, const std::string& refusal);

}  // namespace cogwheel
