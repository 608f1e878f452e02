# SPDX-License-Identifier: MIT
include(CMakeFindDependencyMacro)

include("${CMAKE_CURRENT_LIST_DIR}/selgate-find-eigen.cmake")
if(selgate_eigen_problem)
  set(selgate_FOUND FALSE)
  set(selgate_NOT_FOUND_MESSAGE "${selgate_eigen_problem}")
  return()
endif()
find_dependency(Threads)

include("${CMAKE_CURRENT_LIST_DIR}/selgate-targets.cmake")
