// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/gather.hpp>

#include <algorithm>

namespace selgate {

/// y = x', in tiles that stay in registers. y: columns of x x rows of x.
template <class S>
void transpose(const In<S>& x, Out<S> y) {
  using L = kernel::Lanes<S>;
  if constexpr (L::count == 1) {
    y = x.transpose();
  } else {
    constexpr Index rows = L::count;
    typename L::Element tile[rows];
    for (Index i = 0; i < x.rows(); i += rows) {
      for (Index b = 0; b < x.cols(); b += L::count) {
        const Index num_rows = std::min(rows, x.rows() - i),
                    count = std::min(L::count, x.cols() - b);
        if (num_rows == rows && count == L::count) {  // gather would go through memory
          kernel::load_block(x.data() + b * x.outerStride() + i, x.outerStride(), tile);
        } else {
          kernel::gather<S>(x.block(i, b, num_rows, count), tile);
        }
        for (Index r = 0; r < num_rows; ++r) L::store(tile[r], y.col(i + r).data() + b, count);
      }
    }
  }
}

}  // namespace selgate
