// SPDX-License-Identifier: MIT
// error: the layers of a Sequential must have the same scalar
#include <selgate/layer/dense.hpp>
#include <selgate/layer/sequential.hpp>

void build(selgate::Dense<float> first, selgate::Dense<double> second) {
  selgate::Sequential(std::move(first), std::move(second));
}
