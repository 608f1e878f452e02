// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/labels.hpp>

#include <initializer_list>
#include <limits>

namespace selgate_test {

using namespace selgate;

template <class S>
using RowVector = Eigen::Matrix<S, 1, Eigen::Dynamic>;

template <class S>
inline constexpr S not_a_number = std::numeric_limits<S>::quiet_NaN();

template <class S>
RowVector<S> row(std::initializer_list<double> entries) {
  const auto size = static_cast<Index>(entries.size());
  return Eigen::Map<const RowVector<double>>(entries.begin(), size).template cast<S>();
}

}  // namespace selgate_test
