#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "server/job/answer.h"
#include "server/job/job.h"

namespace cogwheel {

// An input is kept for so long after it came or was named last.
inline constexpr std::chrono::hours kInputLife{24};

// An input that a tenant keeps for its requests to name; the bytes lie in the InputStore.
struct KeptInput {
  std::string tenant;
  std::string sha256;
  int64_t size_bytes = 0;
  std::string image_refusal;  // why it cannot be a request's picture: "is a GIF file; ..."
  Job::WallTime expire_time{};
};

// Which tenant keeps which inputs, beside the jobs and with the errors of JobStore. Thread-safe.
class InputRows {
 public:
  virtual ~InputRows() = default;
  // A tenant's row of the same bytes is renewed.
  virtual void Keep(KeptInput input, Done done) = 0;
  // Renews the row: until `expire_time` at least it is not dropped. NOT_FOUND (UNKNOWN_INPUT) when
  // the tenant keeps no such input, whoever else does.
  virtual void Use(std::string tenant, std::string sha256, Job::WallTime expire_time,
                   Answer<KeptInput> done) = 0;
  // Drops some of what has expired and no unfinished job of the tenant starts from; answers what is
  // gone.
  virtual void DropExpired(Job::WallTime now, Answer<std::vector<KeptInput>> done) = 0;
  // Blocks.
  virtual absl::StatusOr<std::vector<KeptInput>> All() const = 0;
};

}  // namespace cogwheel
