// LayerNormModulate, AddGated and both in one, on a GPU.
#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/kernels/gated_residual.h"
#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/row_kernels.h"
#include "worker/kernels/row_type.h"

namespace cogwheel {
namespace {

// A vector per batch entry; where it is undefined the kernel has no row that would read it.
BatchVector Vector(const at::Tensor& vector) {
  if (!vector.defined()) return {};
  TORCH_CHECK(vector.stride(-1) == 1, "a modulation of strides ", vector.strides());
  return {.data = vector.const_data_ptr(), .batch_stride = vector.stride(0)};
}

RowWork Rows(const at::Tensor& residual, int64_t text_count) {
  TORCH_CHECK(residual.is_contiguous(), "rows of strides ", residual.strides());
  return {.type = RowTypeOf(residual.scalar_type()),
          .batch = residual.size(0),
          .rows = residual.size(1),
          .width = residual.size(2),
          .text_count = text_count,
          .residual = residual.data_ptr(),
          .stream = StreamOf(residual)};
}

void AddGates(RowWork& work, const at::Tensor& update, const RowGates& gates) {
  TORCH_CHECK(update.is_contiguous(), "an update of strides ", update.strides());
  work.update = update.const_data_ptr();
  work.text_gate = Vector(gates.text);
  work.video_gate = Vector(gates.video);
}

void AddNorm(RowWork& work, const at::Tensor& normed, const LayerNormWeights& norm,
             const RowModulation& modulation) {
  work.normed = normed.data_ptr();
  work.norm_weight = norm.weight.const_data_ptr();
  work.norm_bias = norm.bias.const_data_ptr();
  work.epsilon = static_cast<float>(norm.epsilon);
  work.text_scale = Vector(modulation.text_scale);
  work.text_shift = Vector(modulation.text_shift);
  work.video_scale = Vector(modulation.video_scale);
  work.video_shift = Vector(modulation.video_shift);
}

// The kernel reads rows as vectors of 16 bytes and holds a whole row. Every CogVideoX model fits;
// other widths take ATen's operations.
bool Fits(const at::Tensor& rows) {
  const int64_t bytes = rows.size(2) * rows.element_size();
  return bytes % 16 == 0 && bytes <= kMaxRowBytes;
}

void Launch(const RowWork& work) {
  TORCH_CHECK(LaunchRowWork(work), "a kernel over ", work.batch * work.rows,
              " rows could not be started");
}

}  // namespace

at::Tensor LayerNormModulateCuda(const at::Tensor& rows, int64_t text_count,
                                 const LayerNormWeights& norm, const RowModulation& modulation) {
  const at::Tensor dense = rows.contiguous();
  if (!Fits(dense)) return LayerNormModulateAten(dense, text_count, norm, modulation);
  const at::Tensor normed = at::empty_like(dense);
  RowWork work = Rows(dense, text_count);
  AddNorm(work, normed, norm, modulation);
  Launch(work);
  return normed;
}

void AddGatedCuda(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                  const RowGates& gates) {
  if (!Fits(residual)) return AddGatedAten(residual, update, text_count, gates);
  RowWork work = Rows(residual, text_count);
  AddGates(work, update, gates);
  Launch(work);
}

at::Tensor AddGatedNormModulateCuda(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                                    const RowGates& gates, const LayerNormWeights& norm,
                                    const RowModulation& modulation) {
  if (!Fits(residual)) {
    AddGatedAten(residual, update, text_count, gates);
    return LayerNormModulateAten(residual, text_count, norm, modulation);
  }
  const at::Tensor normed = at::empty_like(residual);
  RowWork work = Rows(residual, text_count);
  AddGates(work, update, gates);
  AddNorm(work, normed, norm, modulation);
  Launch(work);
  return normed;
}

}  // namespace cogwheel
