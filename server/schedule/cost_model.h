#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// How much work a job is.
struct JobSize {
  // What one step and all that follows the steps depend on.
  struct Shape {
    int64_t text_tokens = 0;
    int64_t latent_frames = 0;
    int64_t frame_tokens = 0;  // of a latent frame
    int branches = 1;          // of guidance
    bool decoded = true;       // its result is pixels, not latents
    bool tiled = false;
    friend auto operator<=>(const Shape&, const Shape&) = default;

    double video_tokens() const { return static_cast<double>(latent_frames * frame_tokens); }
    double tokens() const { return static_cast<double>(text_tokens) + video_tokens(); }
  };
  Shape shape;
  int steps = 0;
};

// Of a resolved request.
JobSize SizeOf(const v1::GenerateRequest& request);

// In seconds.
struct JobCosts {
  double before = 0;  // from the start to the first step: the ranks' answers, prompt, picture
  double step = 0;    // each
  double after = 0;   // from the last step to the end: decode and encode
  double Of(int steps) const { return before + steps * step + after; }
};

// What jobs of one shape took in one setup.
struct SeenCosts {
  JobSize::Shape shape;
  JobCosts costs;
  double decode_in_steps = 0;  // what decode and encode should cost by arithmetic; 0 = not said
};

// How long a job should hold a group. Each shape is learnt by itself in each setup, which is a
// group with its mesh, checkpoint, device and dtype; one that was not seen there is scaled from the
// nearest that was: a step by tokens and branches, what follows by the ranks' arithmetic where they
// told it, else by pixels. A model is as fast as its groups of now: what is known of others counts
// where nothing is known of those. Bounded. Thread-safe.
class CostModel {
 public:
  void Learn(const std::string& model, const std::string& setup, const SeenCosts& seen)
      COGWHEEL_EXCLUDES(mutex_);
  // In this setup; nullopt before its first job.
  std::optional<JobCosts> Expect(const std::string& model, const std::string& setup,
                                 const JobSize::Shape& shape, double decode_in_steps = 0) const
      COGWHEEL_EXCLUDES(mutex_);
  std::optional<double> Seconds(const std::string& model, const std::string& setup,
                                const JobSize& size) const COGWHEEL_EXCLUDES(mutex_);
  // A group is there, in this setup, or is expected back; until it is dropped.
  void SetGroup(const std::string& group, const std::string& model, const std::string& setup)
      COGWHEEL_EXCLUDES(mutex_);
  void DropGroup(const std::string& group) COGWHEEL_EXCLUDES(mutex_);
  // In the fastest setup of the model's groups, else, where none of those has run anything, of all
  // that are known; nullopt before the model's first job.
  std::optional<double> Seconds(const std::string& model, const JobSize& size) const
      COGWHEEL_EXCLUDES(mutex_);

  // For a file that outlasts the process. Entries are in the order in which they were learnt.
  struct Entry {
    std::string model, setup;
    SeenCosts seen;
  };
  std::vector<Entry> All() const COGWHEEL_EXCLUDES(mutex_);
  // What others learnt; what was learnt here stays.
  void Absorb(const std::vector<Entry>& entries) COGWHEEL_EXCLUDES(mutex_);
  // Called after each Learn, on its thread and without the lock. Before the first.
  void OnLearnt(std::function<void()> listener) { on_learnt_ = std::move(listener); }

 private:
  struct Kept {
    SeenCosts seen;
    int64_t turn = 0;   // when it was kept
    bool here = false;  // learnt by this process
  };
  struct Setup {
    std::vector<Kept> kept;
    int64_t turn = 0;  // of its latest
  };
  using Key = std::pair<std::string, std::string>;  // model, setup

  std::optional<double> Fastest(const std::string& model, const std::vector<std::string>& setups,
                                const JobSize& size) const COGWHEEL_EXCLUDES(mutex_);
  Kept& Find(const Key& key, const JobSize::Shape& shape) COGWHEEL_REQUIRES(mutex_);
  void DropOldest(const Key& newest) COGWHEEL_REQUIRES(mutex_);
  void Keep(const Key& key, const SeenCosts& seen) COGWHEEL_REQUIRES(mutex_);

  std::function<void()> on_learnt_ = [] {};
  mutable Mutex mutex_;
  std::map<Key, Setup> setups_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, Key> groups_ COGWHEEL_GUARDED_BY(mutex_);
  int64_t turn_ COGWHEEL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cogwheel
