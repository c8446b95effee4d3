#include "worker/weights/foreign_tensors.h"

#include <string_view>

namespace cogwheel {
namespace {

constexpr char kLora[] =
    "belongs to a LoRA that is not fused; call fuse_lora() and unload_lora_weights() before saving";
constexpr char kQuantised[] =
    "belongs to a quantised model, which is not read; take the original's files, or dequantize() "
    "it before saving";

struct Mark {
  std::string_view part;  // of the name, between dots
  const char* what;
};

// PEFT, diffusers before PEFT and Kohya; bitsandbytes, 8-bit floats with scales, torchao and
// quanto, GPTQ and AWQ.
constexpr Mark kMarks[] = {{"lora_A", kLora},
                           {"lora_B", kLora},
                           {"lora_down", kLora},
                           {"lora_up", kLora},
                           {"lora_embedding_A", kLora},
                           {"lora_embedding_B", kLora},
                           {"lora_magnitude_vector", kLora},
                           {"lora_layer", kLora},
                           {"lora", kLora},
                           {"base_layer", kLora},
                           {"SCB", kQuantised},
                           {"weight_format", kQuantised},
                           {"absmax", kQuantised},
                           {"nested_absmax", kQuantised},
                           {"quant_map", kQuantised},
                           {"nested_quant_map", kQuantised},
                           {"quant_state", kQuantised},
                           {"weight_scale", kQuantised},
                           {"weight_scale_inv", kQuantised},
                           {"weight_scale_2", kQuantised},
                           {"scale_weight", kQuantised},
                           {"input_scale", kQuantised},
                           {"scale_input", kQuantised},
                           {"scaled_fp8", kQuantised},
                           {"comfy_quant", kQuantised},
                           {"weight_zero_point", kQuantised},
                           {"weight_packed", kQuantised},
                           {"weight_qdata", kQuantised},
                           {"_data", kQuantised},
                           {"_scale", kQuantised},
                           {"qweight", kQuantised},
                           {"qzeros", kQuantised},
                           {"scales", kQuantised},
                           {"g_idx", kQuantised}};

// Whether `part` stands between two dots of the name, or a dot and an end.
bool HasPart(std::string_view name, std::string_view part) {
  for (size_t at = name.find(part); at != std::string_view::npos; at = name.find(part, at + 1)) {
    const size_t end = at + part.size();
    if ((at == 0 || name[at - 1] == '.') && (end == name.size() || name[end] == '.')) return true;
  }
  return false;
}

}  // namespace

std::string ForeignTensor(const std::string& name) {
  for (const Mark& mark : kMarks) {
    if (HasPart(name, mark.part)) return mark.what;
  }
  return name.starts_with("lora_unet_") ? kLora : "";
}

}  // namespace cogwheel
