# cmake -DSOURCE=folder -DOUTPUT=file.cc -P Commit.cmake: the commit that is built, "" where it is not known (no git, or
# the folder lies inside another project's repository). The file changes only with its text.
set(ENV{GIT_OPTIONAL_LOCKS} 0)
execute_process(COMMAND git -C ${SOURCE} rev-parse --show-prefix OUTPUT_VARIABLE prefix ERROR_QUIET
  OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
set(commit "")
if(NOT failed AND prefix STREQUAL "")
  execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --exclude=* --abbrev=10 OUTPUT_VARIABLE commit ERROR_QUIET
    OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
set(text "#include \"base/build_info.h\"\n\nnamespace cogwheel {\nconst char* BuildCommit() { return \"${commit}\"; }\n}  // namespace cogwheel\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
