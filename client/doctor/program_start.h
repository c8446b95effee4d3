#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/finding.h"

// Whether our programs start here, and if not, why: what stands before any word of their own.
// Pure, but for CompareLibraries, which asks whether two paths are one file.
namespace cogwheel {

// Where the dynamic loader finds a program's libraries: "libm.so.6" -> "/lib/libm.so.6", or "" for
// one that is not there.
using LoadedLibraries = std::map<std::string, std::string>;

// `trace`: what the loader prints with LD_TRACE_LOADED_OBJECTS set.
LoadedLibraries ParseLoaderTrace(const std::string& trace);

// What the user's environment puts in the place of the libraries that the program was built with:
// a warning that names each, and the folders. Ok where there is no such thing.
Finding CompareLibraries(const LoadedLibraries& with_environment,
                         const LoadedLibraries& without_environment);

// Of a program that ran all the same, by its standard error: what LD_PRELOAD names in vain.
std::optional<Finding> PreloadProblem(const std::string& log);

// How a program ended before it did its work.
struct FailedStart {
  std::string program;
  int exit_code = 0;                           // 128 + signal for a killed one
  std::string log;                             // its standard error
  std::optional<int64_t> address_space_bytes;  // under this ulimit
};

// Why.
Finding ExplainStart(const FailedStart& start);

// Variables by which a user's environment changes what the loader loads.
inline constexpr const char* kLoaderVariables[] = {"LD_LIBRARY_PATH", "LD_PRELOAD"};

}  // namespace cogwheel
