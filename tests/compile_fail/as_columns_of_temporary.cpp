// SPDX-License-Identifier: MIT
// error: deleted function.*as_columns
#include <selgate/core/types.hpp>

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The view would outlive what it looks at.
float first() { return selgate::as_columns(Rows(2, 3))(0, 0); }
