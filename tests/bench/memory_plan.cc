// What the published models take of a GPU's memory for a clip of their own size, by the arithmetic
// that decides whether a job starts. Needs no GPU and no weights.
//   memory_plan             prints a Markdown table
//   memory_plan DOCUMENT    fails where the document does not hold that table
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include <absl/strings/str_format.h>

#include "worker/families/cogvideox/model_footprints.h"

namespace cogwheel {
namespace {

constexpr double kGb = 1e9;
constexpr Mesh kMeshes[] = {{}, {.cfg = 2}, {.cfg = 2, .ulysses = 2}, {.cfg = 2, .ulysses = 4}};

struct Published {
  const char* name;
  at::ScalarType dtype;
  ClipSize clip;
  int64_t heads, layers;
  bool version_1_5;
};

constexpr Published kModels[] = {
    {"2b, fp16", at::kHalf, {49, 480, 720}, 30, 30, false},
    {"5b, bf16", at::kBFloat16, {49, 480, 720}, 48, 42, false},
    {"1.5-5b, bf16", at::kBFloat16, {81, 768, 1360}, 48, 42, true},
};

CheckpointConfigs ConfigsOf(const Published& model) {
  CheckpointConfigs configs;
  configs.transformer.num_attention_heads = model.heads;
  configs.transformer.num_layers = model.layers;
  configs.transformer.use_rotary_positional_embeddings = model.heads == 48;
  if (model.version_1_5) {
    configs.transformer.patch_size_t = 2;
    configs.transformer.sample_height = 96;
    configs.transformer.sample_width = 170;
    configs.transformer.sample_frames = 81;
  }
  configs.text_encoder = {.d_model = 4096,
                          .d_ff = 10240,
                          .num_layers = 24,
                          .num_heads = 64,
                          .feed_forward_proj = "gated-gelu"};  // T5-XXL's
  return configs;
}

std::string Row(const Published& model, const Footprints& footprints, const Mesh& mesh) {
  const JobShape shape = {.size = model.clip, .text_tokens = 226, .guided = true};
  const JobFootprint first = footprints.Bound(shape, {.mesh = mesh});
  int64_t denoise = 0, others = 0;
  for (int rank = 0; rank < mesh.size(); ++rank) {
    const JobFootprint job = footprints.Bound(shape, {.mesh = mesh, .world_rank = rank});
    denoise = std::max(denoise, job.denoise);
    if (rank > 0) others = std::max(others, footprints.WeightBytes(rank) + job.peak());
  }
  const int64_t weights = footprints.WeightBytes(0);
  return absl::StrFormat("| %s, %d × %d × %d | %d | %d × %d | %.1f | %.1f | %.1f | %.1f | %s |\n",
                         model.name, model.clip.frames, model.clip.height, model.clip.width,
                         mesh.size(), mesh.cfg, mesh.ulysses, weights / kGb, denoise / kGb,
                         first.decode / kGb, (weights + first.peak()) / kGb,
                         others == 0 ? "" : absl::StrFormat("%.1f", others / kGb));
}

std::string Table() {
  std::string table =
      "| model, clip | GPUs | cfg × u | weights of rank 0 | denoising | decode | rank 0 in all | "
      "another rank |\n|---|---|---|---|---|---|---|---|\n";
  for (const Published& model : kModels) {
    const auto footprints =
        CogVideoXFootprints(ConfigsOf(model), at::Device(at::kCUDA, 0), model.dtype);
    for (const Mesh& mesh : kMeshes) table += Row(model, *footprints, mesh);
  }
  return table;
}

}  // namespace
}  // namespace cogwheel

int main(int argc, char** argv) {
  const std::string table = cogwheel::Table();
  if (argc == 1) return std::fputs(table.c_str(), stdout) < 0;
  std::ifstream document(argv[1], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(document), {}};
  if (text.find(table) != std::string::npos) return 0;
  std::fprintf(stderr, "%s does not hold this table:\n%s", argv[1], table.c_str());
  return 1;
}
