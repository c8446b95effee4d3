#include "server/dispatch/prompt_warnings.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "proto/contract/vocabulary.h"

namespace cogwheel {
namespace {

std::string DoesNotKnow(const std::vector<std::string>& words, const Vocabulary& vocabulary) {
  const bool small_would_do = std::ranges::any_of(words, [&vocabulary](const std::string& word) {
    return vocabulary.Has(InSmallLetters(word));
  });
  return absl::StrCat(" does not know: ", ShortList(words),
                      small_would_do ? "; try small letters" : "");
}

}  // namespace

std::vector<std::string> PromptWarnings(const v1::GenerateRequest& resolved,
                                        const v1::Model& model) {
  std::vector<std::string> warnings;
  const Vocabulary vocabulary(model.vocabulary());
  const std::vector<std::string> unknown = vocabulary.Lacks(resolved.prompt());
  if (!unknown.empty()) {
    const std::string draws =
        model.description().empty() ? "" : absl::StrCat(" draws ", model.description(), "; it");
    warnings.push_back(absl::StrCat(model.name(), draws, DoesNotKnow(unknown, vocabulary)));
  }
  if (resolved.guidance_scale() <= 1) return warnings;  // nothing reads the negative prompt
  std::vector<std::string> more = vocabulary.Lacks(resolved.negative_prompt());
  std::erase_if(more, [&unknown](const std::string& word) {
    return std::ranges::find(unknown, word) != unknown.end();
  });
  if (!more.empty()) {
    warnings.push_back(
        absl::StrCat("negative prompt: ", model.name(), DoesNotKnow(more, vocabulary)));
  }
  return warnings;
}

}  // namespace cogwheel
