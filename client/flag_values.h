#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

// Text of a flag -> value. Errors are INVALID_ARGUMENT in one line with the field, the value and
// what is legal.
namespace cogwheel {

// What a number may be, for messages: `lowest` and `highest` are the nearest legal values for what
// does not fit the type; highest 0: only the model knows them.
struct NumberRange {
  int64_t lowest = 0;
  uint64_t highest = 0;
  std::string_view legal;  // "1 to 200"
};

// One that fits its type but not the range is accepted: requests are checked by ValidateRequest.
absl::StatusOr<int32_t> ParseInt32(std::string_view field, std::string_view text,
                                   const NumberRange& range);
// Within the range, for what no request holds.
absl::StatusOr<int32_t> ParseInt32Within(std::string_view field, std::string_view text,
                                         const NumberRange& range);
// Nothing for -1: one is to be drawn.
absl::StatusOr<std::optional<uint64_t>> ParseSeed(std::string_view text);
// Accepts nan and inf: whether they are legal is the field's matter.
absl::StatusOr<double> ParseDouble(std::string_view field, std::string_view text,
                                   std::string_view legal);

// The index of `text` in `words`, or an error that lists them.
absl::StatusOr<size_t> ParseWord(std::string_view field, std::string_view text,
                                 const std::vector<std::string_view>& words);

// A word and what it stands for.
template <typename Value>
struct Choice {
  std::string_view word;
  Value value;
};

// What `text` stands for in `choices`, or an error that lists their words.
template <typename Value, size_t kCount>
absl::StatusOr<Value> ParseChoice(std::string_view field, std::string_view text,
                                  const Choice<Value> (&choices)[kCount]) {
  std::vector<std::string_view> words;
  for (const Choice<Value>& choice : choices) words.push_back(choice.word);
  const absl::StatusOr<size_t> index = ParseWord(field, text, words);
  if (!index.ok()) return index.status();
  return choices[*index].value;
}

// HOST:PORT, [V6]:PORT or unix:PATH. `field`: who gave it.
absl::Status CheckAddress(std::string_view field, std::string_view text);

// "FIELD '' is empty; ..."
absl::Status RefuseEmpty(std::string_view field);

}  // namespace cogwheel
