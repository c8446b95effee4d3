#pragma once

#include <string>

namespace cogwheel {

// What a tensor's name tells of weights that are not the plain ones of the network, and the way
// out: parts of an unfused LoRA, of a quantised layer. "" for every other name.
std::string ForeignTensor(const std::string& name);

}  // namespace cogwheel
