#pragma once

#include <string>

#include <absl/status/status.h>

namespace cogwheel {

// Where a program of ours is to listen, and what a refusal says of it.
struct ListenPlace {
  std::string flag;     // "--listen"
  std::string address;  // HOST:PORT, its port within 0..65535
  std::string note;     // " (the default)": behind the address
  std::string holder;   // who else may have it: "another cogwheel-server"
};

// Whether a socket can listen there now. UNAVAILABLE says why not in the system's words, and what
// to give instead; libraries that listen for us do not tell.
absl::Status CheckCanListen(const ListenPlace& place);

}  // namespace cogwheel
