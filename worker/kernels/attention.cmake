cogwheel_library(worker_kernels_attention TORCH SOURCES attention.cc attention_cpu.cc)
