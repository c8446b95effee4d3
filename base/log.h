#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

// Lines on stderr, one an event: JSON for machines, text for people. Thread-safe. Includes no
// logging library: torch files may use it.
namespace cogwheel {

enum class LogFormat {
  kAuto,  // text where stderr is a terminal, else JSON
  kText,
  kJson,
};
// kAuto until then.
void SetLogFormat(LogFormat format);
bool LogsText();

enum class LogLevel { kInfo, kWarning, kError };
// Lines below it are not written; kInfo until then. Any thread, any time.
void SetLogLevel(LogLevel least);
LogLevel LeastLogLevel();
const char* LogLevelName(LogLevel level);  // "info"

// Who reads a line as text. As JSON every line is written.
enum class Audience {
  kEverybody,
  kOnce,      // every rank of a host would say it: the first one does
  kMachines,  // more than somebody who looks on wants to know
};

using LogField = std::pair<std::string_view, std::string>;

// Fields that every later line of this process carries (program, group, rank). Call before threads
// start, or again when a rank learns its place.
void SetLogContext(std::initializer_list<LogField> fields);

// Replaces one of them, or adds it; an empty value takes it away. Any thread, any time.
void SetLogField(std::string_view name, std::string_view value);

// Who speaks, in text: "rank 2 of 4". `first`: what is told once, this process tells.
void SetLogSpeaker(std::string_view name, bool first);

// Log(LogLevel::kInfo, "job started", {{"job", id}, {"epoch", std::to_string(epoch)}});
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {},
         Audience audience = Audience::kEverybody);

// A sentence for people: in text only, and a line of level info.
void Say(std::string_view sentence);

}  // namespace cogwheel
