#include "server/groups/hello.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>

#include "base/utf8.h"
#include "proto/contract/status.h"
#include "proto/contract/vocabulary.h"
#include "server/groups/membership.h"

namespace cogwheel {
namespace {

using internal::v1::Hello;
using internal::v1::Mesh;
using internal::v1::ModelInfo;

constexpr int kMaxRanks = 1024;
constexpr size_t kMaxNameBytes = 128;
constexpr int kMaxCapabilities = 1024;
// Far above every model; products of three of them fit 64 bits.
constexpr int64_t kMostExtent = 65'536, kMostFps = 1000, kMostSteps = 10'000;
constexpr double kMostGuidance = 1000;

absl::Status Refuse(std::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_HELLO", what);
}

absl::Status CheckMesh(const Mesh& mesh) {
  const auto in_range = [](int extent) { return extent >= 1 && extent <= kMaxRanks; };
  if (!in_range(mesh.cfg()) || !in_range(mesh.ring()) || !in_range(mesh.ulysses()) ||
      mesh.cfg() > 2 || int64_t{mesh.ring()} * mesh.ulysses() * mesh.cfg() > kMaxRanks) {
    return Refuse(absl::StrCat("mesh ", MeshText(mesh), " cannot be"));
  }
  return absl::OkStatus();
}

absl::Status CheckTexts(const ModelInfo& model) {
  const auto refuse = [&model](const auto&... what) {
    return Refuse(absl::StrCat("model ", model.name(), ": ", what...));
  };
  if (!model.description().empty() && !IsPlainLine(model.description(), kMaxDescriptionBytes)) {
    return refuse("description is not one line of at most ", kMaxDescriptionBytes, " bytes");
  }
  if (static_cast<size_t>(model.sample_prompts_size()) > kMaxSamplePrompts) {
    return refuse(model.sample_prompts_size(), " sample_prompts; at most ", kMaxSamplePrompts);
  }
  for (const std::string& prompt : model.sample_prompts()) {
    if (IsPlainLine(prompt, kMaxSamplePromptBytes)) continue;
    return refuse("a sample prompt is not one line of 1 to ", kMaxSamplePromptBytes, " bytes");
  }
  if (static_cast<size_t>(model.vocabulary_size()) > kMaxVocabularyWords) {
    return refuse(model.vocabulary_size(), " words of vocabulary; at most ", kMaxVocabularyWords);
  }
  for (const std::string& word : model.vocabulary()) {
    if (!IsVocabularyWord(word))
      return refuse("vocabulary has '", WithoutControls(ClipUtf8(word, kMaxWordBytes)),
                    "', which is not one word in small letters");
  }
  return absl::OkStatus();
}

absl::Status CheckModel(const ModelInfo& model) {
  struct Number {
    const char* field;
    int64_t value, most;
  };
  const Number numbers[] = {
      {"default_frames", model.default_frames(), kMostExtent},
      {"default_height", model.default_height(), kMostExtent},
      {"default_width", model.default_width(), kMostExtent},
      {"default_fps", model.default_fps(), kMostFps},
      {"default_steps", model.default_steps(), kMostSteps},
      {"frames_multiple", model.frames_multiple(), kMostExtent},
      {"max_frames", model.max_frames(), kMostExtent},
      {"max_area", model.max_area(), kMostExtent * kMostExtent},
      {"max_height", model.max_height(), kMostExtent},
      {"max_width", model.max_width(), kMostExtent},
      {"max_steps", model.max_steps(), kMostSteps},
      {"max_text_tokens", model.max_text_tokens(), kMostExtent},
  };
  for (const Number& number : numbers) {
    if (number.value >= 1 && number.value <= number.most) continue;
    return Refuse(absl::StrCat("model ", model.name(), ": ", number.field, " is ", number.value,
                               "; legal is 1 to ", number.most));
  }
  const double guidance = model.default_guidance_scale();
  if (!(guidance >= 0 && guidance <= kMostGuidance)) {
    return Refuse(absl::StrCat("model ", model.name(), ": default_guidance_scale is ", guidance,
                               "; legal is 0 to ", kMostGuidance));
  }
  if (!DefaultSchedulerOf(model).has_value()) {
    return Refuse(absl::StrCat("model ", model.name(), ": scheduler ",
                               static_cast<int>(model.default_scheduler()), " ",
                               model.default_scheduler_word()));
  }
  return CheckTexts(model);
}

absl::Status CheckNames(const Hello& hello) {
  const std::pair<const char*, const std::string*> names[] = {
      {"group's name", &hello.group()},
      {"model's name", &hello.model().name()},
      {"host", &hello.host()},
      {"device", &hello.device()},
      {"peer_address", &hello.peer_address()}};
  for (const auto& [what, name] : names) {
    if (IsPlainLine(*name, kMaxNameBytes)) continue;
    return Refuse(absl::StrCat("the ", what, " is not one line of 1 to ", kMaxNameBytes, " bytes"));
  }
  for (const std::string* word :
       {&hello.model().digest(), &hello.code_version(), &hello.nccl_version(), &hello.dtype()}) {
    if (word->size() > kMaxNameBytes) return Refuse("a version, dtype or digest is too long");
  }
  // Health is told under it, beside the services of the port.
  const auto* services = google::protobuf::DescriptorPool::generated_pool();
  if (services->FindServiceByName(hello.group()) == nullptr) return absl::OkStatus();
  return Refuse(absl::StrCat("group ", hello.group(), " is named like a service"));
}

}  // namespace

absl::Status CheckHello(const Hello& hello) {
  const absl::StatusOr<int> protocol = SpokenProtocol(hello);
  if (!protocol.ok()) return protocol.status();
  if (hello.capabilities_size() > kMaxCapabilities) return Refuse("too many capabilities");
  const absl::Status names = CheckNames(hello);
  if (!names.ok()) return names;
  if (hello.local_rank() < 0 || hello.local_rank() >= kMaxRanks || hello.pid() < 0) {
    return Refuse(
        absl::StrCat("local_rank ", hello.local_rank(), " or pid ", hello.pid(), " cannot be"));
  }
  const absl::Status mesh = CheckMesh(hello.mesh());
  return mesh.ok() ? CheckModel(hello.model()) : mesh;
}

}  // namespace cogwheel
