#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "cogwheel/v1/video_service.pb.h"
#include "proto/contract/status.h"

namespace cogwheel {

// Collects one violation of each field, the first that is found: what the model says comes before
// what holds for every model. The first one's reason is the error's.
class Violations {
 public:
  template <typename... Parts>
  void Add(std::string_view reason, std::string_view field, const Parts&... parts) {
    if (Has(field)) return;
    if (violations_.empty()) reason_ = reason;
    violations_.push_back({std::string(field), absl::StrCat(std::string(field), " ", parts...)});
  }
  // Adds a value that is not within low to high.
  void CheckRange(std::string_view reason, std::string_view field, int64_t value, int64_t low,
                  int64_t high) {
    if (value >= low && value <= high) return;
    Add(reason, field, value, " is outside ", low, " to ", high, "; the nearest legal value is ",
        std::clamp(value, low, high));
  }
  absl::Status ToStatus() const {
    return violations_.empty() ? absl::OkStatus() : MakeInvalidArgument(reason_, violations_);
  }

 private:
  bool Has(std::string_view field) const {
    return std::any_of(violations_.begin(), violations_.end(),
                       [field](const FieldViolation& v) { return v.field == field; });
  }

  std::string reason_;
  std::vector<FieldViolation> violations_;
};

// What holds for every model; the checks of ValidateRequest.
void CheckWithoutModel(const v1::GenerateRequest& request, Violations& out);

}  // namespace cogwheel
