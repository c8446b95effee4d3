#include "worker/families/cogvideox/components.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <vector>

#include "worker/weights/json_fields.h"

namespace cogwheel {
namespace {

struct Component {
  const char* name;
  Saver saver;
  const char* known_tensor;
};

constexpr Component kComponents[] = {
    {"transformer", Saver::kDiffusers, "proj_out.weight"},
    {"vae", Saver::kDiffusers, "decoder.conv_in.conv.weight"},
    {"text_encoder", Saver::kTransformers, "encoder.final_layer_norm.weight"}};

}  // namespace

ComponentFolder ComponentOf(const std::string& model_dir, const std::string& component,
                            const std::string& variant) {
  const Component* row = std::ranges::find(kComponents, component, &Component::name);
  return {.path = model_dir + "/" + component,
          .saver = row->saver,
          .variant = variant,
          .known_tensor = row->known_tensor};
}

void CheckVariant(const std::string& model_dir, const std::string& variant) {
  if (variant.empty()) return;
  std::set<std::string> there;
  for (const Component& component : kComponents) {
    const ComponentFolder folder = ComponentOf(model_dir, component.name, variant);
    FindComponentFiles(folder);  // refuses what is not read
    for (const std::string& name : VariantsIn(folder)) there.insert(name);
  }
  if (there.contains(variant)) return;
  std::string names;
  for (const std::string& name : there) {
    names += (names.empty() ? "; there is " : ", ") + PrintableName(name);
  }
  throw std::invalid_argument("variant \"" + PrintableName(variant) + "\": no component of " +
                              model_dir + " has files of it" +
                              (names.empty() ? "; there is none: leave it out" : names));
}

}  // namespace cogwheel
