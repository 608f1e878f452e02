// SPDX-License-Identifier: MIT
// error: (cannot convert|no viable conversion).*Out<float>
#include <selgate/layer/dense.hpp>

// A pass reads and writes its own scalar; a hidden conversion of the output would be lost.
void pass(const selgate::Dense<float>& dense, selgate::Dense<float>::Cache& cache) {
  const selgate::Matrix<float> x(3, 5);
  selgate::Matrix<double> y(2, 5);
  dense.forward({}, x, y, cache);
}
