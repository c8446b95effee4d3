# LibTorch straight from the unpacked wheel: imported targets only. find_package(Torch) would ask for a CUDA toolkit,
# set flags globally and put its third-party headers before the system's.

# cogwheel_beside(FILE): a library that programs load goes into lib/cogwheel, where their run path looks in the build folder
# as in an installation. A hard link (a copy if the cache is on another file system), so an emptied cache breaks no program.
set(COGWHEEL_LIBRARY_FOLDER ${PROJECT_BINARY_DIR}/lib/cogwheel)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib/cogwheel")
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
file(MAKE_DIRECTORY ${COGWHEEL_LIBRARY_FOLDER})
function(cogwheel_beside file)
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "${file} is missing: run scripts/setup (COGWHEEL_SITE is '${COGWHEEL_SITE}')")
  endif()
  get_filename_component(name "${file}" NAME)
  file(CREATE_LINK "${file}" ${COGWHEEL_LIBRARY_FOLDER}/${name} COPY_ON_ERROR)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  install(PROGRAMS "${file}" DESTINATION lib/cogwheel)
endfunction()

function(cogwheel_shared name file)
  cogwheel_beside("${file}")
  get_filename_component(file_name "${file}" NAME)
  add_library(${name} SHARED IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${COGWHEEL_LIBRARY_FOLDER}/${file_name})
endfunction()

set(torch ${COGWHEEL_SITE}/torch)
cogwheel_shared(cogwheel::c10 ${torch}/lib/libc10.so)
cogwheel_shared(cogwheel::torch_cpu_so ${torch}/lib/libtorch_cpu.so)
# What libtorch_cpu loads, on a machine without a GPU too.
foreach(library torch/lib/libgomp.so.1 nvidia/cu13/lib/libcudart.so.13 nvidia/cu13/lib/libcupti.so.13)
  cogwheel_beside(${COGWHEEL_SITE}/${library})
endforeach()
add_library(cogwheel_torch INTERFACE)
add_library(cogwheel::torch ALIAS cogwheel_torch)
target_include_directories(cogwheel_torch SYSTEM INTERFACE ${torch}/include ${torch}/include/torch/csrc/api/include)
target_link_libraries(cogwheel_torch INTERFACE cogwheel::torch_cpu_so cogwheel::c10)
