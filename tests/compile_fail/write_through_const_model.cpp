// SPDX-License-Identifier: MIT
// error: read-only|const-qualified type
#include <selgate/layer/dense.hpp>

// The leaves of a const model are const.
void change(const selgate::Dense<float>& dense) {
  selgate::for_each_leaf([](const auto& leaf) { leaf.data[0] = 1; }, dense);
}
