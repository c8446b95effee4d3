# LibTorch straight from the unpacked wheel: imported targets only. find_package(Torch) would ask for a CUDA toolkit,
# set flags globally and put its third-party headers before the system's.
function(cogwheel_shared name file)
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "${file} is missing: run scripts/setup (COGWHEEL_SITE is '${COGWHEEL_SITE}')")
  endif()
  add_library(${name} SHARED IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION "${file}")
endfunction()

set(torch ${COGWHEEL_SITE}/torch)
cogwheel_shared(cogwheel::c10 ${torch}/lib/libc10.so)
cogwheel_shared(cogwheel::torch_cpu_so ${torch}/lib/libtorch_cpu.so)
add_library(cogwheel_torch INTERFACE)
add_library(cogwheel::torch ALIAS cogwheel_torch)
target_include_directories(cogwheel_torch SYSTEM INTERFACE ${torch}/include ${torch}/include/torch/csrc/api/include)
target_link_libraries(cogwheel_torch INTERFACE cogwheel::torch_cpu_so cogwheel::c10)
