#include "server/groups/membership.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "base/sha256.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

using internal::v1::Hello;
using internal::v1::Mesh;
using internal::v1::ModelInfo;

// Before there were protocols there was one.
int ProtocolOf(const Hello& hello) { return std::max(hello.protocol(), 1); }

std::string CapabilitiesText(const Hello& hello) {
  const auto name = [](std::string* out, int each) { out->append(CapabilityName(each)); };
  return absl::StrCat("[", absl::StrJoin(CapabilitiesOf(hello), ", ", name), "]");
}

// Without what it says of itself, which may be long.
std::string LimitsText(ModelInfo model) {
  model.clear_description();
  model.clear_sample_prompts();
  model.clear_vocabulary();
  return model.ShortDebugString();
}

// Short, and another one when they differ.
std::string TextsDigest(const ModelInfo& model) {
  constexpr size_t kShownDigits = 12;
  ModelInfo texts;
  texts.set_description(model.description());
  *texts.mutable_sample_prompts() = model.sample_prompts();
  *texts.mutable_vocabulary() = model.vocabulary();
  return Sha256Hex(texts.SerializeAsString()).substr(0, kShownDigits);
}

struct Property {
  const char* name;
  std::string (*value)(const Hello&);
};

// What all ranks of a group must have in common.
constexpr std::array kSame = {
    // First: what follows from it is no reason of its own.
    Property{"protocol", [](const Hello& hello) { return absl::StrCat(ProtocolOf(hello)); }},
    Property{"mesh", [](const Hello& hello) { return MeshText(hello.mesh()); }},
    Property{"model", [](const Hello& hello) { return hello.model().name(); }},
    Property{"model digest", [](const Hello& hello) { return hello.model().digest(); }},
    Property{"model description", [](const Hello& hello) { return LimitsText(hello.model()); }},
    Property{"model texts (cogwheel.json's description, sample_prompts, vocabulary) of digest",
             [](const Hello& hello) { return TextsDigest(hello.model()); }},
    Property{"code version", [](const Hello& hello) { return hello.code_version(); }},
    Property{"dtype", [](const Hello& hello) { return hello.dtype(); }},
    Property{"NCCL version", [](const Hello& hello) { return hello.nccl_version(); }},
    Property{"capabilities", CapabilitiesText},
    // They would decode by different programs and wait for each other.
    Property{"--wavefront-on-gpus",
             [](const Hello& hello) -> std::string {
               return hello.wavefront_on_gpus() ? "true" : "false";
             }},
};

}  // namespace

std::optional<v1::Scheduler> DefaultSchedulerOf(const ModelInfo& model) {
  switch (model.default_scheduler()) {
    case internal::v1::SCHEDULER_UNSPECIFIED:
      if (model.default_scheduler_word() == "ddim") return v1::SCHEDULER_DDIM;
      if (model.default_scheduler_word() == "dpm") return v1::SCHEDULER_DPM;
      break;
    case internal::v1::SCHEDULER_DDIM:
      return v1::SCHEDULER_DDIM;
    case internal::v1::SCHEDULER_DPM:
      return v1::SCHEDULER_DPM;
    case internal::v1::Scheduler_INT_MIN_SENTINEL_DO_NOT_USE_:
    case internal::v1::Scheduler_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return std::nullopt;
}

std::string MeshText(const Mesh& mesh) {
  return absl::StrCat("cfg ", mesh.cfg(), " x ring ", mesh.ring(), " x ulysses ", mesh.ulysses());
}

std::string RankName(const Hello& hello) {
  return absl::StrCat(hello.host(), ":", hello.device(), " (local rank ", hello.local_rank(), ")");
}

int WorldSize(const Mesh& mesh) { return mesh.cfg() * mesh.ring() * mesh.ulysses(); }

Capabilities CapabilitiesOf(const Hello& hello) {
  return {hello.capabilities().begin(), hello.capabilities().end()};
}

absl::StatusOr<int> SpokenProtocol(const Hello& hello) {
  const int ranks = ProtocolOf(hello);
  const int ranks_oldest = hello.oldest_protocol() > 0 ? hello.oldest_protocol() : ranks;
  const int spoken = std::min(ranks, kProtocol);
  if (spoken >= kOldestProtocol && spoken >= ranks_oldest) return spoken;
  const auto range = [](int oldest, int newest) {
    return oldest < newest ? absl::StrCat(oldest, " to ", newest) : absl::StrCat(newest);
  };
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "PROTOCOL",
      absl::StrCat("rank ", RankName(hello), " speaks protocol ", range(ranks_oldest, ranks),
                   ", this server ", range(kOldestProtocol, kProtocol), ": update ",
                   ranks < kProtocol ? "cogwheel-worker" : "cogwheel-server"));
}

absl::Status CheckSame(const Hello& member, const Hello& candidate) {
  for (const Property& property : kSame) {
    const std::string expected = property.value(member), found = property.value(candidate);
    if (expected == found) continue;
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "RANK_DIFFERS",
        absl::StrCat("rank ", RankName(candidate), " has ", property.name, " ", found, ", rank ",
                     RankName(member), " of group ", member.group(), " has ", expected));
  }
  return absl::OkStatus();
}

std::vector<size_t> WorldOrder(const std::vector<Hello>& members) {
  std::vector<size_t> order(members.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&members](size_t a, size_t b) {
    const auto key = [&members](size_t i) {
      return std::make_tuple(std::string_view(members[i].host()), members[i].local_rank(),
                             std::string_view(members[i].device()));
    };
    return key(a) < key(b);
  });
  return order;
}

std::string DigestOf(const Hello& hello) {
  return ProtocolOf(hello) == 1 ? "" : hello.model().digest();
}

v1::Model ToModel(const Hello& hello) {
  const ModelInfo& info = hello.model();
  v1::Model model;
  model.set_name(info.name());
  model.set_digest(DigestOf(hello));
  v1::ModelDefaults& defaults = *model.mutable_defaults();
  defaults.set_frames(info.default_frames());
  defaults.set_height(info.default_height());
  defaults.set_width(info.default_width());
  defaults.set_fps(info.default_fps());
  defaults.set_steps(info.default_steps());
  defaults.set_guidance_scale(info.default_guidance_scale());
  defaults.set_scheduler(DefaultSchedulerOf(info).value_or(v1::SCHEDULER_UNSPECIFIED));
  v1::ModelLimits& limits = *model.mutable_limits();
  limits.set_frames_multiple(info.frames_multiple());
  limits.set_max_frames(info.max_frames());
  limits.set_max_area(info.max_area());
  limits.set_max_height(info.max_height());
  limits.set_max_width(info.max_width());
  limits.set_max_steps(info.max_steps());
  limits.set_max_text_tokens(info.max_text_tokens());
  limits.set_image_required(info.image_required());
  limits.set_fixed_shape(info.fixed_shape());
  model.set_description(info.description());
  *model.mutable_sample_prompts() = info.sample_prompts();
  *model.mutable_vocabulary() = info.vocabulary();
  return model;
}

}  // namespace cogwheel
