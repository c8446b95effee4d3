#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

// JSON lines on stderr, one an event. Thread-safe. Includes no logging library: torch files may use
// it.
namespace cogwheel {

enum class LogLevel { kInfo, kWarning, kError };

using LogField = std::pair<std::string_view, std::string>;

// Fields that every later line of this process carries (program, group, rank). Call before threads
// start, or again when a rank learns its place.
void SetLogContext(std::initializer_list<LogField> fields);

// Replaces one of them, or adds it; an empty value takes it away. Any thread, any time.
void SetLogField(std::string_view name, std::string_view value);

// Log(LogLevel::kInfo, "job started", {{"job", id}, {"epoch", std::to_string(epoch)}});
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace cogwheel
