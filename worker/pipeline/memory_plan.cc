#include "worker/pipeline/memory_plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <c10/util/Exception.h>

namespace cogwheel {
namespace {

constexpr int64_t kMega = 1'000'000;
constexpr int kSideMultiple = 16;
constexpr size_t kKeptShapes = 256;

// What a job takes beside tensors: stacks and malloc arenas of threads that start with it,
// libraries' generated code, the encoder and what is on its way to the frontend; on a GPU the work
// spaces that libraries keep. Measured on the CPU, shipped model: 55 MB at the first job of a
// shape, 15 MB at the next, because most of it stays.
constexpr int64_t kBesideOnCpu = 96 * kMega;
constexpr int64_t kBesideOnGpu = 512 * kMega;

// Runs of one shape differ by what is small beside activations: a step of another scheduler, a
// preview, one step instead of many.
int64_t WithMargin(int64_t measured) { return measured + measured / 16; }

constexpr int64_t JobFootprint::* kStages[] = {&JobFootprint::text, &JobFootprint::picture,
                                               &JobFootprint::denoise, &JobFootprint::decode};

// Of each stage the less; with the messages of `a`.
JobFootprint Least(JobFootprint a, const JobFootprint& b) {
  for (int64_t JobFootprint::* const stage : kStages) a.*stage = std::min(a.*stage, b.*stage);
  return a;
}

// Room without a limit is the largest number already. Neither is negative.
int64_t SaturatedSum(int64_t a, int64_t b) {
  return a + std::min(b, std::numeric_limits<int64_t>::max() - a);
}

std::string Megabytes(int64_t bytes) { return std::to_string(bytes / kMega) + " MB"; }

std::pair<const char*, int64_t> LargestStage(const JobFootprint& bytes) {
  return std::max({std::pair("text", bytes.text), std::pair("picture", bytes.picture),
                   std::pair("denoise", bytes.denoise), std::pair("decode", bytes.decode)},
                  [](const auto& a, const auto& b) { return a.second < b.second; });
}

std::string WayOut(const Footprints& footprints, const RankPlace& place, const JobShape& shape,
                   int64_t bytes) {
  if (footprints.fixed_size()) {
    return "the model has no other size; more ranks share the work (--ulysses, --ring)";
  }
  const std::optional<ClipSize> size = LargestThatFits(footprints, place, shape, bytes);
  if (!size.has_value()) return "no smaller clip would fit";
  return std::to_string(size->frames) + (size->frames == 1 ? " frame" : " frames") + " at " +
         std::to_string(size->height) + "x" + std::to_string(size->width) + " would fit";
}

}  // namespace

JobShape ShapeOf(const JobSpec& spec) {
  return {.size = {spec.frames, spec.height, spec.width},
          .text_tokens = spec.max_sequence_length,
          .guided = spec.guided(),
          .decoded = spec.output != OutputKind::kLatent,
          .tiled = spec.vae_tiling,
          .picture_bytes = static_cast<int64_t>(spec.image_rgb.size()),
          .has_picture = spec.has_image};
}

std::string RefusalText(const JobFootprint& needs, const MemoryRoom& room,
                        const std::string& way_out) {
  const auto [stage, bytes] = LargestStage(needs);
  return std::string(stage) + " needs " + Megabytes(bytes + needs.exchange + kMega - 1) + ", " +
         Megabytes(room.bytes) + " are free (" + room.limit + "); " + way_out;
}

std::optional<ClipSize> LargestThatFits(const Footprints& footprints, const RankPlace& place,
                                        const JobShape& shape, int64_t bytes) {
  const auto volume = [](const ClipSize& size) {
    return int64_t{size.frames} * size.height * size.width;
  };
  std::optional<ClipSize> best;
  JobShape candidate = shape;
  ClipSize& size = candidate.size;
  for (size.frames = shape.size.frames; size.frames >= 1;
       size.frames -= footprints.frames_multiple()) {
    for (size.height = shape.size.height; size.height >= kSideMultiple;
         size.height -= kSideMultiple) {
      size.width = static_cast<int>(int64_t{shape.size.width} * size.height / shape.size.height) /
                   kSideMultiple * kSideMultiple;
      if (size.width < kSideMultiple) break;
      if (best.has_value() && volume(size) <= volume(*best)) break;
      if (footprints.Bound(candidate, place).peak() > bytes) continue;
      best = size;
      break;
    }
  }
  return best;
}

MemoryRoom MemoryPlan::RoomFor(const JobShape& shape) const {
  MemoryRoom room = meter_.Room(host_ranks_);
  const int64_t beside = meter_.on_gpu() ? kBesideOnGpu : kBesideOnCpu;
  room.bytes -= measured_.contains(shape) ? beside / 2 : beside;
  room.bytes = std::max<int64_t>(room.bytes, 0);
  return room;
}

JobFootprint MemoryPlan::Expect(const JobShape& shape) const {
  JobFootprint bytes = footprints_.Bound(shape, place_);
  const auto found = measured_.find(shape);
  if (found == measured_.end()) return bytes;
  for (int64_t JobFootprint::* const stage : kStages) {
    if (found->second.*stage > 0) bytes.*stage = WithMargin(found->second.*stage);
  }
  return bytes;
}

void MemoryPlan::CheckRoom(const JobShape& shape) {
  // The margin over what was measured may lie above the bound, which the way out goes by.
  const JobFootprint needs = Least(Expect(shape), footprints_.Bound(shape, place_));
  const MemoryRoom room = RoomFor(shape);
  TORCH_CHECK_WITH(OutOfMemoryError, needs.peak() <= room.bytes,
                   RefusalText(needs, room, WayOut(footprints_, place_, shape, room.bytes)));
  checked_room_ = room.bytes - needs.exchange;
}

void MemoryPlan::Keep(const JobShape& shape, int64_t JobFootprint::* stage, int64_t bytes) {
  if (measured_.size() >= kKeptShapes && !measured_.contains(shape)) measured_.clear();
  int64_t& kept = measured_[shape].*stage;
  kept = std::max(kept, bytes);
}

MemoryPlan::Run::Run(MemoryPlan& plan, const JobShape& shape)
    : plan_(plan),
      shape_(shape),
      before_(plan.meter_.Held()),
      limit_(plan.meter_.on_gpu() || !plan.checked_room_.has_value()
                 ? std::nullopt
                 : std::optional<CpuMemoryLimit>(std::in_place,
                                                 SaturatedSum(before_, *plan.checked_room_))) {
  plan_.meter_.Restart();
}

void MemoryPlan::Run::EndStage(int64_t JobFootprint::* stage) {
  plan_.Keep(shape_, stage, plan_.meter_.Peak() - before_);
  plan_.meter_.Restart();
}

}  // namespace cogwheel
