// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

#include <initializer_list>

namespace selgate::test {

template <class S>
Vector<S> vector(std::initializer_list<S> values) {
  return Eigen::Map<const Vector<S>>(values.begin(), static_cast<Index>(values.size()));
}

}  // namespace selgate::test
