// SPDX-License-Identifier: MIT
#pragma once

#include <limits>

namespace selgate::test {

template <class S>
constexpr S infinity = std::numeric_limits<S>::infinity();
template <class S>
constexpr S eps = std::numeric_limits<S>::epsilon();

}  // namespace selgate::test
