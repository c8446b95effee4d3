#include "base/log_text.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/utf8.h"

namespace cogwheel {
namespace {

constexpr char kDim[] = "\x1b[2m", kYellow[] = "\x1b[33m", kRed[] = "\x1b[31m",
               kPlain[] = "\x1b[0m";

constexpr std::array kForMachines = {"at", "config", "epoch", "library", "trace_id"};
// Told behind the colon, without its name. The first of these that a line has.
constexpr std::array kCauses = {"error", "why", "status", "reason"};
// Of what is no cause: a wider field is for machines.
constexpr size_t kWidest = 120;

bool IsForMachines(const std::string& name, const std::string& value) {
  return value.size() > kWidest ||
         std::find(kForMachines.begin(), kForMachines.end(), name) != kForMachines.end();
}

// "UNAVAILABLE: rank 2 is gone" without the name of the code; nothing of "OK".
std::string StatusWords(const std::string& status) {
  const size_t end = status.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
  if (end == std::string::npos) return status == "OK" ? "" : status;
  return end > 0 && status.compare(end, 2, ": ") == 0 ? status.substr(end + 2) : status;
}

std::string Lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string FieldText(const std::string& name, const std::string& value) {
  if (name == "job") return value;  // jobs/01k... says what it is
  std::string words = name;
  std::replace(words.begin(), words.end(), '_', ' ');
  return words + " " + (name == "state" ? Lowered(value) : value);
}

std::string CauseOf(const TextLine& line) {
  for (const char* cause : kCauses) {
    for (const auto& [name, value] : line.fields) {
      if (name == cause && !value.empty()) return name;
    }
  }
  return "";
}

std::string Sentence(const TextLine& line) {
  const std::string cause = CauseOf(line);
  std::string text = line.speaker.empty() ? "" : line.speaker + ": ";
  text += line.message;
  std::string details, why;
  for (const auto& [name, value] : line.fields) {
    if (name == cause) {
      const std::string words = name == "status" ? StatusWords(value) : value;
      if (!words.empty()) why = ": " + words;
    } else if (!value.empty() && !IsForMachines(name, value)) {
      details += (details.empty() ? " (" : ", ") + FieldText(name, value);
    }
  }
  return text + details + (details.empty() ? "" : ")") + why;
}

std::string Level(LogLevel level, bool color) {
  if (level == LogLevel::kInfo) return "";
  const bool warning = level == LogLevel::kWarning;
  const std::string word = warning ? "warning:" : "error:";
  if (!color) return word + " ";
  return (warning ? kYellow : kRed) + word + kPlain + " ";
}

}  // namespace

std::string ToText(const TextLine& line) {
  std::array<char, 16> time{};
  std::strftime(time.data(), time.size(), "%H:%M:%S", &line.local_time);
  const std::string when =
      line.color ? std::string(kDim) + time.data() + kPlain : std::string(time.data());
  // The line is a terminal's: no byte of a user or a peer may move its cursor.
  return when + " " + Level(line.level, line.color) + WithoutControls(Sentence(line)) + "\n";
}

}  // namespace cogwheel
