# SPDX-License-Identifier: MIT
# What our own tests, benchmarks and examples are built with; nothing of it reaches a user's target.
option(SELGATE_WERROR "Make warnings errors in our own programs" OFF)
option(SELGATE_NATIVE "Build our own programs for this machine's processor" OFF)

add_library(selgate_dev INTERFACE)
target_link_libraries(selgate_dev INTERFACE selgate::selgate)
target_compile_options(selgate_dev INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  $<$<BOOL:${SELGATE_WERROR}>:-Werror>
  $<$<BOOL:${SELGATE_NATIVE}>:-march=native>)
# gcc 12 takes the undefined source of an unmasked AVX-512 intrinsic, which Eigen uses, for a mistake
# (GCC bug 105593).
if(SELGATE_NATIVE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU"
   AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(selgate_dev INTERFACE -Wno-uninitialized -Wno-maybe-uninitialized)
endif()
# Eigen packs the operands of a product on the heap above this many bytes; with 2 MiB it never does
# at our sizes, so that a pass allocates nothing.
target_compile_definitions(selgate_dev INTERFACE EIGEN_STACK_ALLOCATION_LIMIT=2097152)
