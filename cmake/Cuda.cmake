# nvcc, NCCL and cuDNN from their wheels (scripts/setup --cuda); needs no GPU and no installed toolkit. Included by the
# top folder, because it switches a language on.
set(COGWHEEL_CUDA_ROOT "" CACHE PATH "folder with the unpacked CUDA wheels: nvidia/cu13/, nvidia/nccl/")
set(cuda ${COGWHEEL_CUDA_ROOT}/nvidia/cu13)
if(NOT EXISTS ${cuda}/bin/nvcc)
  message(FATAL_ERROR "no nvcc below COGWHEEL_CUDA_ROOT '${COGWHEEL_CUDA_ROOT}': run scripts/setup --cuda")
endif()
set(CMAKE_CUDA_COMPILER ${cuda}/bin/nvcc CACHE FILEPATH "")
set(CMAKE_CUDA_FLAGS_INIT "-L${cuda}/lib")  # the wheel has lib/, nvcc looks in lib64/
# Hopper's own code; Ampere and Ada; and text that the driver of any later GPU compiles.
set(CMAKE_CUDA_ARCHITECTURES 80-real 89-real 90a-real 90-virtual CACHE STRING "")
set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # else a second runtime is linked beside LibTorch's
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)

cogwheel_shared(cogwheel::torch_cuda_so ${COGWHEEL_SITE}/torch/lib/libtorch_cuda.so)
cogwheel_shared(cogwheel::c10_cuda ${COGWHEEL_SITE}/torch/lib/libc10_cuda.so)
cogwheel_shared(cogwheel::cudart ${cuda}/lib/libcudart.so.13)
cogwheel_shared(cogwheel::nccl ${COGWHEEL_CUDA_ROOT}/nvidia/nccl/lib/libnccl.so.2)
target_include_directories(cogwheel::cudart SYSTEM INTERFACE ${cuda}/include ${cuda}/include/cccl)
target_include_directories(cogwheel::nccl SYSTEM INTERFACE ${COGWHEEL_CUDA_ROOT}/nvidia/nccl/include)
target_link_libraries(cogwheel::nccl INTERFACE cogwheel::cudart)

# What tensor files need beyond cogwheel::torch. Nothing refers to libtorch_cuda, which registers its kernels when it is
# loaded: without --no-as-needed it would be dropped.
add_library(cogwheel_torch_cuda INTERFACE)
add_library(cogwheel::torch_cuda ALIAS cogwheel_torch_cuda)
target_link_libraries(cogwheel_torch_cuda INTERFACE
  -Wl,--push-state,--no-as-needed cogwheel::torch_cuda_so -Wl,--pop-state cogwheel::c10_cuda cogwheel::cudart)
# What libtorch_cuda loads. The old kind of run path serves the libraries of libraries too.
file(GLOB libraries ${COGWHEEL_CUDA_ROOT}/nvidia/*/lib/*.so.* ${COGWHEEL_SITE}/torch/lib/*.so*)
foreach(library IN LISTS libraries)
  cogwheel_beside(${library})
endforeach()
target_link_options(cogwheel_torch_cuda INTERFACE -Wl,--disable-new-dtags)

# cogwheel_cuda_library(NAME SOURCES x.cu...): device code. It sees raw pointers and streams, never ATen.
function(cogwheel_cuda_library name)
  cmake_parse_arguments(arg "" "" "SOURCES" ${ARGN})
  add_library(cogwheel_${name} STATIC ${arg_SOURCES})
  add_library(cogwheel::${name} ALIAS cogwheel_${name})
  target_include_directories(cogwheel_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(cogwheel_${name} PUBLIC cogwheel::cudart)
endfunction()
