// SPDX-License-Identifier: MIT
// error: IsRowMajor
#include <selgate/core/types.hpp>

// Already features x batch: seen as columns it would be transposed in meaning.
auto twice(const selgate::Matrix<float>& x) { return selgate::as_columns(x); }
