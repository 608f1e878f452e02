// SPDX-License-Identifier: MIT
// error: needs Eigen 3.4 or later
#include <Eigen/Core>

#undef EIGEN_VERSION_AT_LEAST
#define EIGEN_VERSION_AT_LEAST(x, y, z) false  // as of a version before any that is asked for
#include <selgate/core/types.hpp>
