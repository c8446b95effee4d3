#pragma once

#include <string>
#include <string_view>

namespace cogwheel {

// "9ab47b3a1c", with "-dirty" where files had been changed since; empty when it is not known.
const char* BuildCommit();

// The first lines of --version: "cogwheel-server 0.1.0, commit 9ab47b3a1c", and the compiler.
std::string BuildText(std::string_view program);

}  // namespace cogwheel
