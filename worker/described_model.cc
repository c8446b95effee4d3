#include "worker/described_model.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <tuple>

#include <sys/mman.h>
#include <unistd.h>

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
         stored_dtype, rotary, description, sample_prompts, vocabulary] = model;
  return std::tie(name, digest, default_frames, default_height, default_width, default_fps,
                  default_steps, default_guidance_scale, default_scheduler, frames_multiple,
                  max_frames, max_area, max_height, max_width, max_steps, max_text_tokens,
                  image_required, fixed_shape, stored_dtype, rotary, description, sample_prompts,
                  vocabulary);
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
    constexpr size_t kShownBytes = 200;
    return absl::InvalidArgumentError(
        absl::StrCat("no description of a model: ", text.substr(0, kShownBytes)));
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

absl::StatusOr<ModelDescription> ReadDescription(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return ToModelDescription({std::istreambuf_iterator<char>(file), {}});
}

DescriptionFile::~DescriptionFile() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<std::string> DescriptionFile::Write(const ModelDescription& model) {
  const std::string text = ToText(model);
  if (fd_ < 0) fd_ = memfd_create("described-model", MFD_CLOEXEC);
  const auto bytes = static_cast<ssize_t>(text.size());
  // One call takes all of it: the file is memory.
  if (fd_ < 0 || ftruncate(fd_, 0) != 0 || pwrite(fd_, text.data(), text.size(), 0) != bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for the model's description: ", std::strerror(errno)));
  }
  return absl::StrCat("/proc/", getpid(), "/fd/", fd_);
}

}  // namespace cogwheel
