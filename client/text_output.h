#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cogwheel/v1/video_service.pb.h"

// Messages for people. Pure; every text but OneLine's ends with a newline.
namespace cogwheel {

// Messages of servers and libraries may have more than one line and control characters.
std::string OneLine(std::string text);
// "cogwheel: warning: ...", for standard error.
std::string WarningLine(const std::string& warning);

std::string JobText(const v1::Job& job, int64_t now_seconds);  // several lines
std::string JobLine(const v1::Job& job);                       // name and state
// A line a job under one of headers; as TextTable in `columns`.
std::string JobTable(const std::vector<v1::Job>& jobs, int64_t now_seconds, int columns);
std::string ModelText(const v1::Model& model);  // several lines
std::string GroupText(const v1::Group& group);  // one line, and a table of ranks

}  // namespace cogwheel
