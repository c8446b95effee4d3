#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace cogwheel {

// A limit as the files of control groups hold it; nothing for "max", and for what no limit is.
std::optional<int64_t> LimitIn(const std::string& file);

// The least of what `limit` says about the folders of ControlGroupFolders.
std::optional<int64_t> LeastOfGroups(
    const std::string& root, const std::string& controller,
    const std::function<std::optional<int64_t>(const std::string& folder)>& limit);

}  // namespace cogwheel
