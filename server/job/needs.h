#pragma once

#include <set>
#include <string>

#include "cogwheel/v1/video_service.pb.h"

// What a job asks of a group beyond what every group can do.
namespace cogwheel {

// Numbers of internal.v1.Capability, also ones that this build has no name for: what a group can
// do, and what a job needs.
using Capabilities = std::set<int>;

// Of a resolved request. Empty today: groups of every release that is worked with can do all that a
// request may ask for. A field that ranks of the release before would ignore gets a line here.
Capabilities NeedsOf(const v1::GenerateRequest& request);

// In words, for messages: "loop" for CAPABILITY_LOOP, "capability 9" without a name.
std::string CapabilityName(int capability);

}  // namespace cogwheel
