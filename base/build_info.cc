#include "base/build_info.h"

namespace cogwheel {

// Programs bring the real one, in an object of their own: else a commit would link every test anew.
__attribute__((weak)) const char* BuildCommit() { return ""; }

std::string BuildText(std::string_view program) {
  const std::string commit = BuildCommit();
  const std::string compiler = __VERSION__;
#ifdef __clang__
  const std::string name;  // it is in __VERSION__
#else
  const std::string name = "GCC ";
#endif
  return std::string(program) + " " COGWHEEL_VERSION +
         (commit.empty() ? "" : ", commit " + commit) + "\ncompiler " + name + compiler;
}

}  // namespace cogwheel
