#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/families/family.h"
#include "worker/families/footprint.h"
#include "worker/families/latent_layout.h"
#include "worker/families/scheduler_config.h"
#include "worker/families/tiling.h"
#include "worker/sequence/geometry.h"
#include "worker/sequence/links.h"
#include "worker/sequence/wavefront.h"

// A loaded model as the pipeline sees it, whatever its family. All of it is owned by the rank
// thread.
namespace cogwheel {

at::Device DeviceOf(const LoadOptions& options);
at::ScalarType ScalarTypeOf(Dtype dtype);

// A part of a model whose calls may take long, which tells of each layer or convolution within them
// as it begins: what was under way before it is done.
class UnitTeller {
 public:
  // On the thread that calls. name: a literal. kind: tells units of one name apart whose work
  // differs.
  using Listener = std::function<void(std::string_view name, int64_t kind)>;
  void TellUnits(Listener listener) { listener_ = std::move(listener); }

 protected:
  ~UnitTeller() = default;
  void UnitBegins(std::string_view name, int64_t kind = 0) const {
    if (listener_) listener_(name, kind);
  }

 private:
  Listener listener_;
};

// Text to the rows that the denoiser attends to. World rank 0 alone has one.
class PromptEncoder : public UnitTeller {
 public:
  virtual ~PromptEncoder() = default;

  // Throws std::invalid_argument for a prompt that Encode would refuse. Computes nothing.
  virtual void Check(const std::string& prompt, int64_t max_tokens) const = 0;

  // [1, max_tokens, text_width], model dtype. An empty prompt is legal.
  virtual at::Tensor Encode(const std::string& prompt, int64_t max_tokens) const = 0;
  // What of the prompt Encode does not read, for who wrote it: one line each, valid UTF-8.
  virtual std::vector<std::string> Warnings(const std::string& prompt,
                                            int64_t max_tokens) const = 0;
};

// The network that predicts, on one shard of the joint sequence.
class Denoiser : public UnitTeller {
 public:
  virtual ~Denoiser() = default;

  // One job: what changes no more once its shape is known. Borrows the denoiser and the links.
  class Job {
   public:
    virtual ~Job() = default;
    // One prediction for this rank's video rows; it may have no text rows, or no video rows.
    //   text: [B, T_local, text_width], of the encoder's output.
    //   video: [B, V_local, C_in·pt·p·p], as LatentLayout cuts them.
    //   → [B, V_local, C_out·pt·p·p], the same order, model dtype.
    virtual at::Tensor Predict(const at::Tensor& text, const at::Tensor& video,
                               int64_t timestep) const = 0;
  };

  // Channels of the encoder's output.
  virtual int64_t text_width() const = 0;
  // Throws std::invalid_argument for a size that has no whole patches.
  virtual LatentLayout LayOut(const ClipSize& size) const = 0;
  // Floating-point operations of one step on this rank.
  virtual double StepOperations(const Geometry& geometry, bool guided) const = 0;
  // Throws std::invalid_argument for what the model refuses.
  virtual std::unique_ptr<Job> Prepare(const Geometry& geometry, const MeshLinks& links) const = 0;
};

// Bytes of a picture, [height, width, 3] RGB. Borrowed.
struct Picture {
  std::span<const uint8_t> rgb;
  int height = 0, width = 0;
};

// Latents to frames and, where the model takes one, a picture to latents.
class Codec : public UnitTeller {
 public:
  virtual ~Codec() = default;

  // Of a latent pixel's side.
  virtual int64_t pixels_per_latent() const = 0;
  // Latent frames of each chunk, in order.
  virtual std::vector<int64_t> DecodeChunks(int64_t latent_frames) const = 0;
  // Frames that a chunk of so many latent frames becomes.
  virtual int64_t PixelFrames(int64_t chunk_frames) const = 0;
  // The denoiser's latents as DecodeChunk takes them: [1, F, C, h, w] → [1, C, F, h, w].
  virtual at::Tensor Unscale(const at::Tensor& latents) const = 0;
  // latents: [B, C, f, h, w], one chunk → [B, 3, PixelFrames(f), h·k, w·k] with k =
  // pixels_per_latent().
  virtual at::Tensor DecodeChunk(const at::Tensor& latents, ConvCarry& carry) const = 0;
  // Floating-point operations of DecodeChunk on [1, C, frames, height, width].
  virtual double DecodeOperations(int64_t frames, int64_t height, int64_t width) const = 0;
  virtual TilePlan DecodePlan() const = 0;
  // True when the reference would tile this size with tiling enabled.
  virtual bool TilesDecode(int64_t latent_height, int64_t latent_width) const = 0;
  // Throws std::invalid_argument where tiling makes another size of a clip, or of its picture if it
  // has one.
  virtual void CheckTiling(const ClipSize&, bool /*has_picture*/) const {}

  // The picture as a clip of one frame of this size → posterior parameters [1, 2C, 1, h, w] (mean |
  // log variance). `tiled`: as the reference does with tiling enabled. On world rank 0 of a model
  // that takes pictures.
  virtual at::Tensor EncodePicture(const Picture& picture, const ClipSize& size,
                                   bool tiled) const = 0;
  // A sample of the posterior as the denoiser takes it. noise: [1, C, 1, h, w] → [1, 1, C, h, w].
  virtual at::Tensor SampleLatent(const at::Tensor& posterior, const at::Tensor& noise) const = 0;
};

// A linear map from one latent pixel, as the denoiser sees it, to red, green and blue in 0..1.
struct PreviewMap {
  at::Tensor matrix;              // [3, C] fp32
  at::Tensor bias;                // [3] fp32
  int64_t pixels_per_latent = 1;  // of its side, to be scaled up by
};

struct Model {
  std::unique_ptr<Denoiser> denoiser;
  std::unique_ptr<Codec> codec;
  std::unique_ptr<PromptEncoder> prompt_encoder;  // world rank 0
  std::unique_ptr<Footprints> footprints;
  SchedulerConfig scheduler;
  PreviewMap preview;
  bool takes_picture = false;        // and does nothing without one
  std::vector<ComponentLoad> loads;  // in the order of loading
};

}  // namespace cogwheel
