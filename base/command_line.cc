#include "base/command_line.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/utf8.h"

namespace cogwheel {
namespace {

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

class Splitter {
 public:
  Splitter(const std::vector<std::string>& arguments, const std::vector<FlagForm>& forms,
           const ProgramName& program)
      : arguments_(arguments), forms_(forms), program_(program) {}

  absl::StatusOr<CommandLine> Split();

 private:
  // An argument that begins with a dash, with the value behind it.
  absl::Status TakeFlag();
  absl::Status TakeValue(size_t form, const std::string& attached, bool has_attached);
  absl::Status CheckFollows(const FlagForm& form) const;
  bool IsKnownFlag(const std::string& argument) const;
  absl::Status Unknown(const std::string& name) const;

  const std::vector<std::string>& arguments_;
  const std::vector<FlagForm>& forms_;
  const ProgramName& program_;
  size_t next_ = 0;  // argument
  CommandLine line_;
};

absl::StatusOr<CommandLine> Splitter::Split() {
  while (next_ < arguments_.size()) {
    const std::string& argument = arguments_[next_];
    if (argument == "--") {
      line_.words.insert(line_.words.end(), arguments_.begin() + next_ + 1, arguments_.end());
      break;
    }
    if (argument.size() < 2 || argument.front() != '-') {
      line_.words.push_back(argument);
      ++next_;
      continue;
    }
    const absl::Status taken = TakeFlag();
    if (!taken.ok()) return taken;
  }
  return line_;
}

absl::Status Splitter::TakeFlag() {
  const std::string& argument = arguments_[next_++];
  const size_t equals = argument.find('=');
  const bool has_attached = equals != std::string::npos;
  const std::string name = argument.substr(0, equals);
  const std::string attached = has_attached ? argument.substr(equals + 1) : "";
  for (size_t i = 0; i < forms_.size(); ++i) {
    const FlagForm& form = forms_[i];
    if (name == form.name || name == form.letter) return TakeValue(i, attached, has_attached);
    const bool long_flag = argument.starts_with("--");
    if (long_flag || form.letter.empty() || !argument.starts_with(form.letter)) continue;
    if (form.value == FlagValue::kNeeded) return TakeValue(i, argument.substr(2), true);
  }
  return Unknown(name);
}

absl::Status Splitter::TakeValue(size_t form_index, const std::string& attached,
                                 bool has_attached) {
  const FlagForm& form = forms_[form_index];
  const auto same = [form_index](const GivenFlag& flag) { return flag.form == form_index; };
  const bool again = std::any_of(line_.flags.begin(), line_.flags.end(), same);
  if (form.value == FlagValue::kNone) {
    if (has_attached) {
      return Refuse(form.name, " takes no value; legal is ", form.name, " alone");
    }
    if (!again) line_.flags.push_back({form_index, ""});
    return absl::OkStatus();
  }
  if (again && !form.repeatable) return Refuse(form.name, " is given twice; legal is once");
  GivenFlag given{form_index, attached};
  const bool needed = form.value == FlagValue::kNeeded;
  bool has_value = has_attached;
  if (needed && !has_attached) {
    const absl::Status follows = CheckFollows(form);
    if (!follows.ok()) return follows;
  }
  if (!has_attached &&
      (needed || (next_ < arguments_.size() && !arguments_[next_].starts_with("-")))) {
    given.value = arguments_[next_++];
    has_value = true;
  }
  if (!needed && has_value && given.value.empty()) {
    return Refuse(form.name, " '' is not legal; legal is true, false or ", form.name, " alone");
  }
  line_.flags.push_back(std::move(given));
  return absl::OkStatus();
}

// A value may begin with a dash, but a flag that is known is most likely meant as one.
absl::Status Splitter::CheckFollows(const FlagForm& form) const {
  if (next_ >= arguments_.size()) {
    return Refuse(form.name, " needs a value: ", form.name, " ", form.value_name);
  }
  const std::string& next = arguments_[next_];
  if (!IsKnownFlag(next)) return absl::OkStatus();
  return Refuse(form.name, " needs a value before ", ShownArgument(next), "; a ", form.value_name,
                " that reads so is given as ", form.name, "=", form.value_name);
}

bool Splitter::IsKnownFlag(const std::string& argument) const {
  const std::string name = argument.substr(0, argument.find('='));
  return argument == "--" ||
         std::any_of(forms_.begin(), forms_.end(), [&name](const FlagForm& form) {
           return name == form.name || (!form.letter.empty() && name == form.letter);
         });
}

absl::Status Splitter::Unknown(const std::string& name) const {
  constexpr size_t kDashes = 2;
  std::vector<std::string> names;
  for (const FlagForm& form : forms_) names.push_back(form.name.substr(kDashes));
  const std::string letters = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  const std::string nearest(NearestWord(letters, names));
  return Refuse("flag '", ShownArgument(name), "' is not known by ", program_.name,
                nearest.empty() ? "; see " + program_.help : "; the nearest is --" + nearest);
}

}  // namespace

absl::StatusOr<CommandLine> SplitCommandLine(const std::vector<std::string>& arguments,
                                             const std::vector<FlagForm>& forms,
                                             const ProgramName& program) {
  return Splitter(arguments, forms, program).Split();
}

std::string_view NearestWord(std::string_view text, const std::vector<std::string>& words) {
  constexpr size_t kFewestLetters = 2;
  const auto begins = [text](const std::string& word) { return word.starts_with(text); };
  const auto begun = std::find_if(words.begin(), words.end(), begins);
  if (text.size() >= kFewestLetters && begun != words.end()) return *begun;
  std::string_view nearest;
  size_t fewest = text.size();
  for (const std::string& word : words) {
    // One row of the edit distance table: distance[j] is between the letters of `text` so far and
    // word[0, j).
    std::vector<size_t> distance(word.size() + 1);
    for (size_t j = 0; j <= word.size(); ++j) distance[j] = j;
    for (size_t i = 0; i < text.size(); ++i) {
      size_t diagonal = std::exchange(distance[0], i + 1);
      for (size_t j = 0; j < word.size(); ++j) {
        const size_t changed = diagonal + (text[i] == word[j] ? 0 : 1);
        diagonal = distance[j + 1];
        distance[j + 1] = std::min({changed, distance[j] + 1, distance[j + 1] + 1});
      }
    }
    if (distance.back() < fewest) {
      fewest = distance.back();
      nearest = word;
    }
  }
  return nearest;
}

std::string ShownArgument(std::string_view text) {
  constexpr size_t kLongest = 60;  // bytes
  const std::string_view begin = ClipUtf8(text, kLongest);
  return WithoutControls(begin) + (begin.size() < text.size() ? "..." : "");
}

}  // namespace cogwheel
