#include "client/doctor/program_start.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <absl/strings/strip.h>

namespace cogwheel {
namespace {

constexpr char kLoading[] = "error while loading shared libraries: ";
constexpr size_t kMostNamed = 3;
constexpr char kBuildHere[] =
    "build it on this machine (in the sources scripts/setup && scripts/build)";

// How the loader, the kernel or the runtime say it, and what it means.
struct StartFailure {
  absl::string_view said;
  absl::string_view way_out;
};
constexpr StartFailure kFailures[] = {
    {"version `GLIBC_",
     "this system's C library is older than the one it was built with: build it on this machine "
     "(in the sources scripts/setup && scripts/build) or take a newer system"},
    {"version `", "remove that library, or build on this machine with its compiler"},
    {"failed to map segment", "raise ulimit -v, or free memory"},
    {"annot allocate memory", "raise ulimit -v or the cgroup's memory.max, or free memory"},
    {"std::bad_alloc", "raise ulimit -v or the cgroup's memory.max, or free memory"},
    {"cannot open shared object file",
     "install it, or let LD_LIBRARY_PATH name its folder; in the sources scripts/setup puts back "
     "LibTorch's"},
    {"undefined symbol", "that library is of another version: remove it, or build again"},
    {"file too short", "that file is damaged: install it again"},
    {"invalid ELF header", "that file is no library: remove or replace it"},
    {"wrong ELF class", "that library is for another machine: replace it"},
    {"Exec format error", "the program is for another machine: build it here"},
    {"Permission denied", "make it readable and executable (chmod a+rx)"},
    {"No such file", "install cogwheel, cogwheel-server and cogwheel-worker into one folder"},
};

// A line of the loader without the program's name in front.
absl::string_view WithoutProgram(absl::string_view line) {
  const size_t loading = line.find(kLoading);
  if (loading != absl::string_view::npos) return line.substr(loading + sizeof kLoading - 1);
  const size_t colon = line.find(": ");
  const bool path = absl::StartsWith(line, "/") || absl::StartsWith(line, ".");
  return path && colon != absl::string_view::npos ? line.substr(colon + 2) : line;
}

// Which limit it met, of a failure that more memory would mend.
std::string MemoryText(const StartFailure& failure, const FailedStart& start) {
  if (!start.address_space_bytes || !absl::StrContains(failure.way_out, "ulimit -v")) return "";
  return absl::StrCat(" (ulimit -v is ", *start.address_space_bytes / 1024, ")");
}

Finding SignalFault(const std::string& program, int signal, absl::string_view last_line) {
  const std::string what = absl::StrCat(program, " was ended by signal ", signal,
                                        last_line.empty() ? "" : ": ", std::string(last_line));
  switch (signal) {
    case SIGILL:
      return {FindingLevel::kFault, "program", what + ": this CPU lacks an instruction",
              kBuildHere};
    case SIGKILL:
      return {FindingLevel::kFault, "program", what + ": most likely it ran out of memory",
              "see dmesg; raise the cgroup's memory.max, or free memory"};
    default:
      return {FindingLevel::kFault, "program", what,
              "report it with this output (--json) and the program's standard error"};
  }
}

// One may be reached by several paths: /lib is a link to /usr/lib on most systems.
bool SameFile(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || std::filesystem::equivalent(a, b, error);
}

}  // namespace

LoadedLibraries ParseLoaderTrace(const std::string& trace) {
  LoadedLibraries libraries;
  for (const absl::string_view line : absl::StrSplit(trace, '\n')) {
    const std::vector<absl::string_view> sides = absl::StrSplit(line, absl::MaxSplits(" => ", 1));
    if (sides.size() != 2) continue;
    const size_t address = sides[1].rfind(" (0x");
    const bool missing = address == absl::string_view::npos;
    libraries[std::string(absl::StripPrefix(sides[0], "\t"))] =
        missing ? "" : std::string(sides[1].substr(0, address));
  }
  return libraries;
}

Finding CompareLibraries(const LoadedLibraries& with_environment,
                         const LoadedLibraries& without_environment) {
  std::vector<std::string> shadowed;
  std::vector<std::string> folders;
  for (const auto& [name, path] : with_environment) {
    const auto built_with = without_environment.find(name);
    // Not found without it: the variable is how this installation finds its libraries.
    if (built_with == without_environment.end() || built_with->second.empty()) continue;
    if (SameFile(path, built_with->second)) continue;
    shadowed.push_back(absl::StrCat(path, " in place of ", built_with->second));
    const std::string folder = std::filesystem::path(path).parent_path();
    if (std::ranges::count(folders, folder) == 0) folders.push_back(folder);
  }
  if (shadowed.empty()) {
    return {FindingLevel::kOk, "libraries", "none is taken from elsewhere by the environment", ""};
  }
  const size_t more = shadowed.size() - std::min(shadowed.size(), kMostNamed);
  shadowed.resize(shadowed.size() - more);
  return {FindingLevel::kWarning, "libraries",
          absl::StrCat("LD_LIBRARY_PATH or LD_PRELOAD loads ", absl::StrJoin(shadowed, ", "),
                       more == 0 ? "" : absl::StrCat(" and ", more, " more")),
          absl::StrCat("take ", absl::StrJoin(folders, ", "), " out of it")};
}

std::optional<Finding> PreloadProblem(const std::string& log) {
  constexpr absl::string_view kLoader = "ERROR: ld.so: ";
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    if (!absl::StartsWith(line, kLoader) || !absl::StrContains(line, "LD_PRELOAD")) continue;
    return Finding{FindingLevel::kWarning, "libraries",
                   std::string(absl::StripSuffix(line.substr(kLoader.size()), ".")),
                   "take it out of LD_PRELOAD, or name a library that is there"};
  }
  return std::nullopt;
}

Finding ExplainStart(const FailedStart& start) {
  constexpr int kSignalBase = 128;
  absl::string_view last_line;
  for (const absl::string_view line : absl::StrSplit(start.log, '\n', absl::SkipWhitespace())) {
    last_line = line;
    for (const StartFailure& failure : kFailures) {
      if (!absl::StrContains(line, failure.said)) continue;
      return {FindingLevel::kFault, "program",
              absl::StrCat(start.program, " does not start: ", WithoutProgram(line),
                           MemoryText(failure, start)),
              std::string(failure.way_out)};
    }
  }
  if (start.exit_code > kSignalBase) {
    return SignalFault(start.program, start.exit_code - kSignalBase, last_line);
  }
  return {FindingLevel::kFault, "program",
          absl::StrCat(start.program, " ended with code ", start.exit_code, ": ",
                       last_line.empty() ? "it gave no reason" : std::string(last_line)),
          "report it with this output (--json)"};
}

}  // namespace cogwheel
