#include "client/terminal.h"

#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

namespace cogwheel {
namespace {

constexpr int kUsualColumns = 80;

// The first that is set decides, as in setlocale.
std::string CharacterLocale(const Environment& environment) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = environment(name);
    if (!value.empty()) return value;
  }
  return "";
}

}  // namespace

Terminal DescribeTerminal(bool is_terminal, const Environment& environment) {
  Terminal terminal;
  const std::string kind = environment("TERM");
  terminal.interactive = is_terminal && !kind.empty() && kind != "dumb";
  terminal.color = terminal.interactive && environment("NO_COLOR").empty();
  const std::string locale = CharacterLocale(environment);
  terminal.unicode = locale.find("UTF-8") != std::string::npos ||
                     locale.find("utf8") != std::string::npos ||
                     locale.find("utf-8") != std::string::npos;
  return terminal;
}

Terminal DescribeTerminal(int fd) {
  Terminal terminal = DescribeTerminal(isatty(fd) == 1, [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  });
  terminal.columns = [fd] {
    winsize size = {};
    const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : kUsualColumns;
  };
  return terminal;
}

}  // namespace cogwheel
