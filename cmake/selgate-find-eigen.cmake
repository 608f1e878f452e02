# SPDX-License-Identifier: MIT
# Finds Eigen 3.4 or later, 5 too, for the build and for the installed package. No version is asked
# of find_package: Eigen's version files refuse the next major version, and Debian's any range.
# Sets selgate_eigen_problem to what is wrong, or to nothing. An Eigen3::Eigen that the project
# already has is taken as it is.
set(selgate_eigen_problem "")
if(NOT TARGET Eigen3::Eigen)
  find_package(Eigen3 CONFIG QUIET GLOBAL)
  if(NOT Eigen3_FOUND)
    set(selgate_eigen_problem "selgate needs Eigen >= 3.4: no Eigen3 package found")
  elseif(Eigen3_VERSION VERSION_LESS 3.4)
    set(selgate_eigen_problem "selgate needs Eigen >= 3.4, found ${Eigen3_VERSION} (${Eigen3_DIR})")
  endif()
endif()
