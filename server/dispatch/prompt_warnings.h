#pragma once

#include <string>
#include <vector>

#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// What the owner of an accepted request is told before it runs: the words of its prompts that the
// model does not know. Each is one line of at most 1 KiB. Pure.
std::vector<std::string> PromptWarnings(const v1::GenerateRequest& resolved,
                                        const v1::Model& model);

}  // namespace cogwheel
