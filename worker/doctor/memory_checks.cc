#include "worker/doctor/memory_checks.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace cogwheel {
namespace {

constexpr char kCheck[] = "memory";

struct Demand {
  int64_t weights = 0, job = 0;  // of the rank that takes most
  int64_t all_weights = 0;
  int ranks = 1;
};

Demand DemandOf(const Footprints& footprints, const JobShape& shape, const Mesh& mesh) {
  Demand demand{.ranks = mesh.size()};
  for (int rank = 0; rank < demand.ranks; ++rank) {
    const int64_t weights = footprints.WeightBytes(rank);
    demand.all_weights += weights;
    demand.weights = std::max(demand.weights, weights);
    const int64_t job = footprints.Bound(shape, {.mesh = mesh, .world_rank = rank}).peak();
    demand.job = std::max(demand.job, job);
  }
  return demand;
}

int64_t Asked(const Demand& demand, const MemoryToShare& room) {
  if (room.each) return demand.weights + demand.job + room.beside_tensors;
  // A job is planned with equal shares of what the weights leave.
  return demand.all_weights + demand.ranks * (demand.job + room.beside_tensors);
}

std::string Text(int64_t bytes) { return BytesText(static_cast<double>(bytes)); }

}  // namespace

std::string MeshFlags(const Mesh& mesh) {
  std::vector<std::string> flags;
  if (mesh.cfg > 1) flags.push_back(absl::StrCat("--cfg-parallel ", mesh.cfg));
  if (mesh.ring > 1) flags.push_back(absl::StrCat("--ring ", mesh.ring));
  if (mesh.ulysses > 1) flags.push_back(absl::StrCat("--ulysses ", mesh.ulysses));
  return flags.empty() ? "1 rank" : absl::StrJoin(flags, " ");
}

JobShape DefaultShape(const ModelDescription& model) {
  constexpr int64_t kColours = 3;
  const bool picture = model.image_required;
  return {
      .size = {model.default_frames, model.default_height, model.default_width},
      .text_tokens = model.max_text_tokens,
      .guided = model.default_guidance_scale > 1,
      .picture_bytes = picture ? kColours * model.default_height * model.default_width : int64_t{0},
      .has_picture = picture};
}

Findings CheckMemory(const Footprints& footprints, const JobShape& shape, const Mesh& mesh,
                     const std::vector<Mesh>& others, const MemoryToShare& room) {
  const Demand demand = DemandOf(footprints, shape, mesh);
  const std::string what = absl::StrCat(
      MeshFlags(mesh), " with ", shape.size.frames, "x", shape.size.height, "x", shape.size.width,
      room.each ? ": a rank takes up to " : ": all ranks take up to ", Text(Asked(demand, room)),
      " (weights ", Text(room.each ? demand.weights : demand.all_weights), ", a job ",
      Text(demand.job), " a rank), ", Text(room.bytes), " are free (", room.limit, ")");
  std::vector<std::string> fitting, by_mesh;
  for (const Mesh& other : others) {
    const int64_t asked = Asked(DemandOf(footprints, shape, other), room);
    const bool fits = asked <= room.bytes;
    if (fits) fitting.push_back(MeshFlags(other));
    by_mesh.push_back(absl::StrCat(MeshFlags(other), " ", Text(asked), fits ? "" : " (too much)"));
  }
  const Finding table = {FindingLevel::kFact, "memory_by_mesh", absl::StrJoin(by_mesh, ", "), ""};
  if (Asked(demand, room) <= room.bytes) return {{FindingLevel::kOk, kCheck, what, ""}, table};
  return {{FindingLevel::kFault, kCheck, what,
           fitting.empty() ? "raise that limit or free memory; or a smaller clip (--frames, "
                             "--height, --width)"
                           : absl::StrCat("take ", absl::StrJoin(fitting, " or "))},
          table};
}

}  // namespace cogwheel
