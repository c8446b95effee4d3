#pragma once

#include <string>

namespace cogwheel {

// Hex SHA-256 that names a checkpoint: over its configurations (of cogwheel.json what it says of
// defaults, limits and presets), the tokenizer's files, and of each tensor name, dtype, shape, size
// and its first, middle and last 64 KiB. Cheap on a cold disk: under 0.3 GB of the largest model.
// The same for a folder's tensors in one file or in shards, whatever adapters lie beside them.
// `random_weights`: there are no tensors. Throws as OpenFile and TensorFolder.
std::string CheckpointDigest(const std::string& model_dir, const std::string& variant,
                             bool random_weights);

}  // namespace cogwheel
