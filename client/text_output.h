#pragma once

#include <string>

#include "cogwheel/v1/video_service.pb.h"

// Messages for people. Pure; every text but OneLine's ends with a newline.
namespace cogwheel {

// Messages of servers and libraries may have more than one line and control characters.
std::string OneLine(std::string text);
// "cogwheel: warning: ...", for standard error.
std::string WarningLine(const std::string& warning);

std::string JobText(const v1::Job& job);        // several lines
std::string JobRow(const v1::Job& job);         // one line: name, state, created, prompt
std::string ModelText(const v1::Model& model);  // several lines
std::string GroupText(const v1::Group& group);  // one line, and one for each rank

}  // namespace cogwheel
