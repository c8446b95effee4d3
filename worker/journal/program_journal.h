#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace cogwheel {

// Work between two points where the ranks agree to go on. Within kText and kStep all ranks issue
// the same exchanges in the same order; in kDecode (a wavefront) each has its own.
enum class BlockKind { kNone, kText, kStep, kDecode };

// For log lines and metrics: "text_encode", "denoise", "decode", "none".
std::string_view BlockName(BlockKind kind);

// A part of a block whose end is waited for: a layer, a convolution. What comes before the first of
// them, or the whole block where its parts are not known (on a GPU, where the host runs ahead of
// the work), is a unit too, under the block's name.
struct WorkUnit {
  std::string_view name;  // a literal
  int64_t kind = 0;       // tells units of one name apart whose work differs
  auto operator<=>(const WorkUnit&) const = default;
};

// What a rank's program tells of itself while it runs, beside the exchanges that its world sees.
// Owned by the rank thread.
class ProgramJournal {
 public:
  virtual ~ProgramJournal() = default;

  // A block of exchanges begins, on the world and its splits. Returns how many were issued in the
  // block before, for step agreement to compare. Between hosts the peers are told, so that those
  // still in that block need not wait in vain (lockstep.h); then throws CommError when the world
  // has failed or the ranks are out of step.
  virtual int64_t EnterBlock(BlockKind kind) = 0;

  // The ranks have agreed on the block: its own exchanges follow. For what it took.
  virtual void BlockAgreed() = 0;

  // What was under way in the block is done, and this begins. Between hosts the peers hear in time
  // how long this rank may take, so that those who wait for it do. Nothing outside of a block.
  virtual void BeginUnit(const WorkUnit& unit) = 0;
};

}  // namespace cogwheel
