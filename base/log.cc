#include "base/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <vector>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log_text.h"
#include "base/mutex.h"

namespace cogwheel {
namespace {

using Json = nlohmann::ordered_json;

// The one piece of state of a process that has no owner: what its lines say about itself.
struct Context {
  Mutex mutex;
  std::vector<std::pair<std::string, std::string>> fields COGWHEEL_GUARDED_BY(mutex);
  std::string speaker COGWHEEL_GUARDED_BY(mutex);
  bool first COGWHEEL_GUARDED_BY(mutex) = true;
  LogFormat format COGWHEEL_GUARDED_BY(mutex) = LogFormat::kAuto;
  std::atomic<LogLevel> least{LogLevel::kInfo};
};

Context& ProcessContext() {
  static Context context;
  return context;
}

std::string Rfc3339Now() {
  using std::chrono::system_clock;
  const auto now = system_clock::now();
  const std::time_t seconds = system_clock::to_time_t(now);
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%s.%06dZ", date.data(),
                static_cast<int>(micros % 1'000'000));
  return text.data();
}

bool StderrIsTerminal() { return isatty(STDERR_FILENO) == 1; }

bool ShowsColor() {
  const char* refused = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return StderrIsTerminal() && (refused == nullptr || *refused == '\0') && terminal != nullptr &&
         *terminal != '\0' && std::string_view(terminal) != "dumb";
}

// One write a line keeps lines of several processes that share stderr apart.
void Write(const std::string& text) {
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(STDERR_FILENO, text.data() + written, text.size() - written);
    if (count <= 0) return;  // nobody can be told
    written += static_cast<size_t>(count);
  }
}

void WriteJson(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  Json line = {{"time", Rfc3339Now()}, {"level", LogLevelName(level)}, {"message", message}};
  {
    Context& context = ProcessContext();
    MutexLock lock(context.mutex);
    for (const auto& [key, value] : context.fields) line[key] = value;
  }
  for (const LogField& field : fields) line[std::string(field.first)] = field.second;
  // Bytes of users and peers may be no UTF-8.
  Write(line.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
}

bool Has(const TextLine& line, const std::string& name) {
  return std::any_of(line.fields.begin(), line.fields.end(),
                     [&name](const auto& field) { return field.first == name; });
}

void WriteText(LogLevel level, std::string_view message, std::initializer_list<LogField> fields,
               Audience audience) {
  if (audience == Audience::kMachines) return;
  TextLine line = {.level = level, .message = message, .color = ShowsColor()};
  const std::time_t now = std::time(nullptr);
  localtime_r(&now, &line.local_time);
  for (const LogField& field : fields) line.fields.emplace_back(field.first, field.second);
  {
    Context& context = ProcessContext();
    MutexLock lock(context.mutex);
    if (audience == Audience::kOnce && !context.first) return;
    for (const auto& [name, value] : context.fields) {
      if (name == "job" && !Has(line, name)) line.fields.emplace(line.fields.begin(), name, value);
    }
    // What is told once is not one rank's.
    if (audience == Audience::kEverybody) line.speaker = context.speaker;
  }
  Write(ToText(line));
}

}  // namespace

void SetLogFormat(LogFormat format) {
  Context& context = ProcessContext();
  const MutexLock lock(context.mutex);
  context.format = format;
}

const char* LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

bool LogsText() {
  Context& context = ProcessContext();
  const MutexLock lock(context.mutex);
  if (context.format == LogFormat::kAuto) return StderrIsTerminal();
  return context.format == LogFormat::kText;
}

void SetLogLevel(LogLevel least) { ProcessContext().least = least; }

LogLevel LeastLogLevel() { return ProcessContext().least; }

void SetLogContext(std::initializer_list<LogField> fields) {
  Context& context = ProcessContext();
  MutexLock lock(context.mutex);
  context.fields.clear();
  for (const LogField& field : fields) context.fields.emplace_back(field.first, field.second);
}

void SetLogField(std::string_view name, std::string_view value) {
  Context& context = ProcessContext();
  const MutexLock lock(context.mutex);
  std::erase_if(context.fields, [name](const auto& field) { return field.first == name; });
  if (!value.empty()) context.fields.emplace_back(name, value);
}

void SetLogSpeaker(std::string_view name, bool first) {
  Context& context = ProcessContext();
  const MutexLock lock(context.mutex);
  context.speaker = name;
  context.first = first;
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields,
         Audience audience) {
  if (level < LeastLogLevel()) return;
  if (LogsText()) return WriteText(level, message, fields, audience);
  WriteJson(level, message, fields);
}

void Say(std::string_view sentence) {
  if (LogsText()) Log(LogLevel::kInfo, sentence);
}

}  // namespace cogwheel
