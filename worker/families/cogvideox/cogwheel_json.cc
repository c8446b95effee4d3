#include <optional>
#include <string>
#include <vector>

#include "proto/contract/utf8.h"
#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/config_fields.h"

namespace cogwheel {
namespace {

std::optional<CogwheelJson::Preview> ReadPreview(const JsonFields& json) {
  if (json.At("preview").is_null()) return std::nullopt;
  const JsonFields fields = json.Object("preview");
  const nlohmann::json& matrix = fields.At("matrix");
  if (!matrix.is_array() || matrix.size() != 3) fields.Refuse("matrix", matrix, "3 rows");
  CogwheelJson::Preview preview;
  for (const nlohmann::json& row : matrix) {
    preview.matrix.push_back(ReadNumbers(fields, "matrix", row, /*count=*/0));
  }
  preview.bias = ReadNumbers(fields, "bias", fields.At("bias"), 3);
  return preview;
}

bool IsPlainName(const std::string& name) {
  constexpr size_t kMaxBytes = 128;
  return !name.empty() && name.size() <= kMaxBytes && !HasControlCharacter(name);
}

}  // namespace

CogwheelJson ParseCogwheelJson(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  CogwheelJson config;
  json.Read("name", config.name);
  Require(!config.name || IsPlainName(*config.name), json, "name",
          "1 to 128 bytes without control characters");
  json.Read("variant", config.variant);
  const JsonFields defaults = json.Object("defaults");
  defaults.Read("steps", config.steps, {1, 200});
  defaults.Read("fps", config.fps, {1, 120});
  defaults.Read("frames", config.frames, {1, 4096});
  defaults.Read("height", config.height, {16, 65536});
  defaults.Read("width", config.width, {16, 65536});
  defaults.Read("guidance_scale", config.guidance_scale, 0, 50);
  defaults.Read("scheduler", config.scheduler);
  Require(!config.scheduler || config.scheduler == "ddim" || config.scheduler == "dpm", defaults,
          "scheduler", "\"ddim\" or \"dpm\"");
  const JsonFields limits = json.Object("limits");
  limits.Read("max_frames", config.max_frames, {1, 4096});
  limits.Read("max_steps", config.max_steps, {1, 200});
  limits.Read("max_height", config.max_height, {16, 65536});
  limits.Read("max_width", config.max_width, {16, 65536});
  config.preview = ReadPreview(json);
  return config;
}

}  // namespace cogwheel
