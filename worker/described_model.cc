#include "worker/described_model.h"

#include <tuple>

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

namespace cogwheel {
namespace {

// Every member: one more stops the build until it is added.
template <typename Model>
auto MembersOf(Model& model) {
  auto& [name, digest, default_frames, default_height, default_width, default_fps, default_steps,
         default_guidance_scale, default_scheduler, frames_multiple, max_frames, max_area,
         max_height, max_width, max_steps, max_text_tokens, image_required, fixed_shape,
         stored_dtype, rotary] = model;
  return std::tie(name, digest, default_frames, default_height, default_width, default_fps,
                  default_steps, default_guidance_scale, default_scheduler, frames_multiple,
                  max_frames, max_area, max_height, max_width, max_steps, max_text_tokens,
                  image_required, fixed_shape, stored_dtype, rotary);
}

}  // namespace

std::string ToText(const ModelDescription& model) {
  nlohmann::json values;
  std::apply([&values](const auto&... member) { (values.push_back(member), ...); },
             MembersOf(model));
  return values.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<ModelDescription> ToModelDescription(const std::string& text) {
  const auto refuse = [&text] {
    return absl::InvalidArgumentError(absl::StrCat("no description of a model: ", text));
  };
  const nlohmann::json values =
      nlohmann::json::parse(text, /*callback=*/nullptr, /*allow_exceptions=*/false);
  ModelDescription model;
  const auto members = MembersOf(model);
  if (!values.is_array() || values.size() != std::tuple_size_v<decltype(members)>) return refuse();
  try {
    size_t idx = 0;
    std::apply([&](auto&... member) { (values[idx++].get_to(member), ...); }, members);
  } catch (const nlohmann::json::exception&) {
    return refuse();
  }
  return model;
}

}  // namespace cogwheel
