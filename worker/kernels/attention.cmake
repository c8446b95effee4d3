if(NOT COGWHEEL_CUDA)
  cogwheel_library(worker_kernels_attention TORCH
    SOURCES attention.cc attention_cpu.cc attention_cuda_absent.cc PUBLIC cogwheel::worker_device)
  return()
endif()
cogwheel_library(worker_kernels_attention TORCH
  SOURCES attention.cc attention_cpu.cc attention_cuda.cc PUBLIC cogwheel::worker_device)

# CUTLASS is headers only; this kernel uses those of its example 88 as well. About a minute and 3 GiB a file.
cogwheel_cuda_library(worker_kernels_attention_hopper SOURCES attention_hopper_bf16.cu attention_hopper_fp16.cu)
set(cutlass ${COGWHEEL_CUDA_ROOT}/cutlass_library/source)
target_include_directories(cogwheel_worker_kernels_attention_hopper SYSTEM PRIVATE
  ${cutlass}/include ${cutlass}/examples/88_hopper_fmha)
target_compile_options(cogwheel_worker_kernels_attention_hopper PRIVATE
  --use_fast_math --expt-relaxed-constexpr --expt-extended-lambda)
target_compile_definitions(cogwheel_worker_kernels_attention_hopper PRIVATE CUTE_SM90_EXTENDED_MMA_SHAPES_ENABLED)
# Elsewhere cuDNN's attention runs.
set_target_properties(cogwheel_worker_kernels_attention_hopper PROPERTIES CUDA_ARCHITECTURES 90a-real)
target_link_libraries(cogwheel_worker_kernels_attention
  PRIVATE cogwheel::worker_kernels_attention_hopper cogwheel::torch_cuda)
