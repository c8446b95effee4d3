#include "proto/contract/config_comments.h"

extern const unsigned char kConfigComments[];
extern const unsigned long kConfigCommentsSize;

namespace cogwheel {

std::string_view ConfigComments() {
  return {reinterpret_cast<const char*>(kConfigComments), kConfigCommentsSize};
}

}  // namespace cogwheel
