#pragma once

#include <string>
#include <string_view>

// Scripts that complete the command line of `cogwheel` in a shell.
namespace cogwheel {

inline constexpr std::string_view kShells[] = {"bash", "zsh"};

// `shell`: one of kShells.
std::string CompletionScript(std::string_view shell);

}  // namespace cogwheel
