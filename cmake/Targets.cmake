# The few functions that all rooms use to state their targets.

add_library(cogwheel_warnings INTERFACE)
target_compile_options(cogwheel_warnings INTERFACE -Wall -Wextra -Wno-missing-field-initializers -Wno-sign-compare)

# A library that loads LibTorch must not carry a second C++ runtime; programs without it may.
set(COGWHEEL_LINK_OPTIONS -Wl,--exclude-libs,ALL -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,--as-needed
  -Wl,--allow-shlib-undefined)

# cogwheel_library(NAME [TORCH] SOURCES ... [PUBLIC targets...] [PRIVATE targets...])
# TORCH: sources include ATen; they share one precompiled header.
function(cogwheel_library name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(cogwheel_${name} STATIC ${arg_SOURCES})
  add_library(cogwheel::${name} ALIAS cogwheel_${name})
  target_include_directories(cogwheel_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(cogwheel_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} cogwheel_warnings)
  if(arg_TORCH)
    cogwheel_torch_sources(cogwheel_${name})
  endif()
endfunction()

# ATen's header costs about 10 s a file: one precompiled header serves every torch target. PRIVATE: the
# wheel's include folder holds another protobuf, which rooms above must not see.
function(cogwheel_torch_sources target)
  target_link_libraries(${target} PRIVATE cogwheel::torch)
  if(NOT TARGET cogwheel_torch_header)
    file(WRITE ${PROJECT_BINARY_DIR}/torch_header.cc "")
    add_library(cogwheel_torch_header STATIC ${PROJECT_BINARY_DIR}/torch_header.cc)
    target_link_libraries(cogwheel_torch_header PRIVATE cogwheel::torch cogwheel_warnings)
    target_precompile_headers(cogwheel_torch_header PRIVATE <ATen/ATen.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM cogwheel_torch_header)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL EXECUTABLE)  # CMake would say -fPIE, which the header's -fPIC does not fit
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
endfunction()

# cogwheel_program(NAME [STATIC_RUNTIME] SOURCES ... LIBRARIES ...)
function(cogwheel_program name)
  cmake_parse_arguments(arg "STATIC_RUNTIME" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} cogwheel_no_failpoints cogwheel_commit cogwheel_warnings)
  target_link_options(${name} PRIVATE ${COGWHEEL_LINK_OPTIONS})
  if(arg_STATIC_RUNTIME)
    target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc)
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# What the level asan of scripts/test builds in the preset dev: unit and component tests without torch.
add_custom_target(asan_tests)

# cogwheel_test(NAME LEVEL unit|component|ranks|integration|gpu [TORCH] [TIMEOUT s] SOURCES ... LIBRARIES ...)
# One binary; one CTest entry per test case, but with TORCH one for all: loading LibTorch takes longer than most cases.
# Tests may read COGWHEEL_SOURCE_DIR.
function(cogwheel_test name)
  cmake_parse_arguments(arg "TORCH" "LEVEL;TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE COGWHEEL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} cogwheel_no_failpoints GTest::gmock GTest::gtest_main
    cogwheel_warnings)
  target_link_options(${name} PRIVATE ${COGWHEEL_LINK_OPTIONS})
  if(arg_TORCH)
    cogwheel_torch_sources(${name})
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS ${arg_LEVEL} TIMEOUT 600)
    return()
  endif()
  if(arg_LEVEL MATCHES "^(unit|component)$")
    add_dependencies(asan_tests ${name})
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${arg_LEVEL} TIMEOUT ${arg_TIMEOUT})
endfunction()
