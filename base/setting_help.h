#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/message.h>

#include "base/config.h"
#include "base/help_text.h"

// The help of a program's settings, made of the comments of its Config message. A field's comment
// is a few sentences and, in brackets, what a value is and a default that is no fixed value:
//
//   // == Addresses                                    the heading of this and the following fields
//   // Where ranks come. [HOST:PORT; default the address of --listen]
//   optional string internal_listen = 2;
//
// Behind the semicolon stands "required", or "default ..." in words. Without it the default is
// that of the message which the program starts from.
namespace cogwheel {

struct SettingComment {
  std::string group;     // "Addresses"
  std::string what;      // "Where ranks come."
  std::string value;     // "HOST:PORT"
  std::string fallback;  // "default the address of --listen", "required", or empty
};

// Of each field, in the message's order. `file_set`: a FileDescriptorSet with source information.
std::vector<SettingComment> ReadSettingComments(std::string_view file_set,
                                                const google::protobuf::Descriptor& config);

// "listen" -> "--listen", "COGWHEEL_LISTEN".
std::string FlagName(std::string_view field);
std::string EnvironmentName(std::string_view field);

// `defaults`: the Config message that the program starts from.
HelpPage SettingsPage(const ProgramInfo& program, const google::protobuf::Message& defaults);

}  // namespace cogwheel
