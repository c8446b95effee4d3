#include "client/flag_values.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

#include <absl/strings/str_cat.h>

#include "base/command_line.h"

namespace cogwheel {
namespace {

bool IsWholeNumber(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

absl::Status OutOfRange(std::string_view field, std::string_view text, const NumberRange& range,
                        bool below) {
  const std::string nearest =
      range.highest == 0
          ? absl::StrCat("legal is ", std::string(range.legal), ", within the model's limits")
      : below ? absl::StrCat("the nearest legal value is ", range.lowest)
              : absl::StrCat("the nearest legal value is ", range.highest);
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(field), " ", ShownArgument(text), " is out of range; ", nearest));
}

template <typename Number>
absl::StatusOr<Number> ParseWhole(std::string_view field, std::string_view text,
                                  const NumberRange& range) {
  if (!IsWholeNumber(text)) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(field), " '", ShownArgument(text),
                                                   "' is not a whole number; legal is ",
                                                   std::string(range.legal)));
  }
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return OutOfRange(field, text, range, /*below=*/text.front() == '-');
}

}  // namespace

absl::StatusOr<int32_t> ParseInt32(std::string_view field, std::string_view text,
                                   const NumberRange& range) {
  return ParseWhole<int32_t>(field, text, range);
}

absl::StatusOr<int32_t> ParseInt32Within(std::string_view field, std::string_view text,
                                         const NumberRange& range) {
  const absl::StatusOr<int32_t> value = ParseInt32(field, text, range);
  if (!value.ok()) return value;
  const bool below = *value < range.lowest;
  if (below || *value > static_cast<int64_t>(range.highest)) {
    return OutOfRange(field, text, range, below);
  }
  return value;
}

absl::StatusOr<std::optional<uint64_t>> ParseSeed(std::string_view text) {
  if (text == "-1") return std::nullopt;
  const absl::StatusOr<uint64_t> seed =
      ParseWhole<uint64_t>("seed", text,
                           {0, std::numeric_limits<uint64_t>::max(),
                            "0 to 18446744073709551615, or -1 for a random one"});
  if (!seed.ok()) return seed.status();
  return std::optional(*seed);
}

absl::StatusOr<double> ParseDouble(std::string_view field, std::string_view text,
                                   std::string_view legal) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return value;
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), " '", ShownArgument(text),
                                                 "' is not a number; legal is ",
                                                 std::string(legal)));
}

absl::StatusOr<size_t> ParseWord(std::string_view field, std::string_view text,
                                 const std::vector<std::string_view>& words) {
  std::string legal;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == text) return i;
    absl::StrAppend(&legal,
                    i == 0                  ? ""
                    : i + 1 == words.size() ? " or "
                                            : ", ",
                    std::string(words[i]));
  }
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), " '", ShownArgument(text),
                                                 "' is not known; legal is ", legal));
}

absl::Status CheckAddress(std::string_view field, std::string_view text) {
  if (text.starts_with("unix:") && text.size() > 5) return absl::OkStatus();
  const size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with("[") && host.ends_with("]");
  int port = 0;
  if (colon != std::string_view::npos && colon > 0 &&
      (bracketed || host.find(':') == std::string_view::npos)) {
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error == std::errc() && end == digits.data() + digits.size() && port > 0 && port < 65536) {
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(field), " '", ShownArgument(text),
                   "' is not an address; legal is HOST:PORT with a port from 1 to 65535, for "
                   "example 127.0.0.1:50051 or [::1]:50051"));
}

absl::Status RefuseEmpty(std::string_view field) {
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(field), " '' is empty; legal is at least one character"));
}

}  // namespace cogwheel
