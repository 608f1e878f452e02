// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/lanes.hpp>

#include <concepts>

namespace selgate::kernel {

/// out[r, c] = start + sum over t of factor[r, t] * x[c, t], added in the order of t, where
///
///   out[r, c]    is out[r * out_row + out_offset[c]],
///   start        is start[r], or without it out[r, c] as it was,
///   factor[r, t] is factor[r * factor_row + t * factor_step],
///   x[c, t]      is x[x_offset[c] + x_step[t]].
///
/// E is what is summed, a scalar or a pack of examples; F is E, or a scalar for all its lanes.
template <class E, class F>
struct OffsetProduct {
  Index rows, columns, terms;
  E* out;
  Index out_row;
  const Index* out_offset;
  const F* factor;
  Index factor_row, factor_step;
  const E* x;
  const Index* x_offset;
  const Index* x_step;
  const F* start = nullptr;

  void run() const { run_rows<most_rows>(0); }

 private:
  /// R x C sums, R factors and an operand fill the registers. Five columns, as a window of 5 x 5
  /// has them; one row has more, because a sum must wait for itself.
  static constexpr int most_rows = !is_pack<E> ? 1 : pack_registers == 32 ? 5 : 2;
  static constexpr int most_columns(int rows) { return !is_pack<E> ? 1 : rows > 1 ? 5 : 8; }

  template <int R>
  void run_rows(Index row) const {
    for (; row + R <= rows; row += R) run_columns<R, most_columns(R)>(row, 0);
    if constexpr (R > 1) run_rows<R / 2>(row);
  }
  template <int R, int C>
  void run_columns(Index row, Index column) const {
    for (; column + C <= columns; column += C) run_tile<R, C>(row, column);
    if constexpr (C > 1) run_columns<R, C / 2>(row, column);
  }

  static E element(const F& factor) {
    if constexpr (std::same_as<F, E>) {
      return factor;
    } else {
      return broadcast<E>(factor);
    }
  }

  /// gcc keeps arrays of packs in registers only where every loop over them is unrolled, and the
  /// addresses only where the callers' are out of the way.
  template <int R, int C>
  [[gnu::noinline]] void run_tile(Index row, Index column) const {
    const E* x_column[C];
    E* out_column[C];
    E sum[R][C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      x_column[c] = x + x_offset[column + c];
      out_column[c] = out + row * out_row + out_offset[column + c];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        sum[r][c] = start != nullptr ? element(start[row + r]) : out_column[c][r * out_row];
      }
    }
    const F* f = factor + row * factor_row;
    for (Index t = 0; t < terms; ++t, f += factor_step) {
      E factors[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        factors[r] = element(f[r * factor_row]);
        if constexpr (is_pack<E>) hold(factors[r]);
      }
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        E operand = x_column[c][x_step[t]];
        if constexpr (is_pack<E>) hold(operand);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) sum[r][c] += operand * factors[r];
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) out_column[c][r * out_row] = sum[r][c];
    }
  }
};

}  // namespace selgate::kernel
