// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/lanes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

/// Examples, which lie as columns, into the lanes of packs and back.
namespace selgate::kernel {

namespace detail {

/// N scalars, no more than a pack has.
template <class S, int N>
struct PartOf {
  using type [[gnu::vector_size(N * sizeof(S))]] = S;
};
template <class S, int N>
using Part = typename PartOf<S, N>::type;

/// R scalars from each of N / R places, `step` apart; L counts N / 2.
template <class S, int R, int N, std::size_t... L>
[[gnu::always_inline]] inline Part<S, N> load_parts(const S* from, Index step,
                                                    std::index_sequence<L...>) {
  Part<S, N> part;
  if constexpr (N == R) {
    std::memcpy(&part, from, sizeof part);
  } else {
    constexpr auto quarter = std::make_index_sequence<N / 4>{};
    const auto low = load_parts<S, R, N / 2>(from, step, quarter);
    const auto high = load_parts<S, R, N / 2>(from + N / 2 / R * step, step, quarter);
    part = __builtin_shufflevector(low, high, L..., (L + N / 2)...);
  }
  return part;
}
template <class S, int R, int N, std::size_t... L>
[[gnu::always_inline]] inline void store_parts(const Part<S, N>& part, S* to, Index step,
                                               std::index_sequence<L...>) {
  if constexpr (N == R) {
    std::memcpy(to, &part, sizeof part);
  } else {
    constexpr auto quarter = std::make_index_sequence<N / 4>{};
    const Part<S, N / 2> low = __builtin_shufflevector(part, part, L...),
                         high = __builtin_shufflevector(part, part, (L + N / 2)...);
    store_parts<S, R, N / 2>(low, to, step, quarter);
    store_parts<S, R, N / 2>(high, to + N / 2 / R * step, step, quarter);
  }
}

/// Exchanges the entries off the diagonal of each block [a(l) a(l+D); b(l) b(l+D)].
template <int D, class P, std::size_t... L>
[[gnu::always_inline]] inline void exchange(P& a, P& b, std::index_sequence<L...>) {
  constexpr std::size_t n = sizeof...(L), d = D;
  const P low = __builtin_shufflevector(a, b, ((L & d) == 0 ? L : n + L - d)...);
  b = __builtin_shufflevector(a, b, ((L & d) == 0 ? L + d : n + L)...);
  a = low;
}

/// Transposes blocks of R x R, side by side in R packs, in log2(R) steps; step D swaps bit D of row
/// and lane (Eklundh, 1972).
template <int D, class P, int R>
[[gnu::always_inline]] inline void transpose(P (&rows)[R]) {
  if constexpr (D < R) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      if ((i & D) != 0) continue;
      exchange<D>(rows[i], rows[i + D], std::make_index_sequence<sizeof(P) / sizeof rows[0][0]>{});
    }
    transpose<2 * D>(rows);
  }
}

}  // namespace detail

/// block[i], lane l = entry i of column l, R entries of as many columns as lanes.
template <class S, int R>
[[gnu::always_inline]] inline void load_block(const S* from, Index stride, Pack<S> (&block)[R]) {
  constexpr int lanes = lane_count<S>;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    block[r] = detail::load_parts<S, R, lanes>(from + r * stride, R * stride,
                                               std::make_index_sequence<lanes / 2>{});
  }
  detail::transpose<1>(block);
}

namespace detail {

/// gather of rows i, i + 1, ... for as many whole blocks of R, R / 2, ... 2 rows as there are, for
/// as many columns as lanes; returns how many rows that makes. (A call that finds no rows left
/// shows in the time of tasks by the hundred.)
template <class S, int Step, int R>
Index gather_blocks(const In<S>& x, Index i, Pack<S>* to) {
  if constexpr (R == 1) {
    return i;
  } else {
    for (; i + R <= x.rows(); i += R) {
      Pack<S> block[R];
      load_block(x.data() + i, x.outerStride(), block);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) to[(i + r) * Step] = block[r];
    }
    return i == x.rows() ? i : gather_blocks<S, Step, R / 2>(x, i, to);
  }
}
template <class S, int Step, int R>
Index scatter_blocks(const Pack<S>* from, Index i, Out<S>& y) {
  constexpr int lanes = lane_count<S>;
  if constexpr (R == 1) {
    return i;
  } else {
    for (; i + R <= y.rows(); i += R) {
      Pack<S> block[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) block[r] = from[(i + r) * Step];
      transpose<1>(block);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        store_parts<S, R, lanes>(block[r], y.data() + r * y.outerStride() + i, R * y.outerStride(),
                                 std::make_index_sequence<lanes / 2>{});
      }
    }
    return i == y.rows() ? i : scatter_blocks<S, Step, R / 2>(from, i, y);
  }
}

}  // namespace detail

/// to[i * Step], lane l = x(i, l), or 0 where x has no column l. x: features x at most
/// Lanes<S>::count.
template <class S, int Step = 1>
void gather(const In<S>& x, typename Lanes<S>::Element* to) {
  Index i = 0;
  if constexpr (Lanes<S>::count == 1) {
    for (; i < x.rows(); ++i) to[i * Step] = x(i, 0);
  } else {
    if (x.cols() == lane_count<S>) i = detail::gather_blocks<S, Step, lane_count<S>>(x, 0, to);
    for (; i < x.rows(); ++i) {
      to[i * Step] = Pack<S>{};
      for (Index l = 0; l < x.cols(); ++l) to[i * Step][l] = x(i, l);
    }
  }
}

/// y(i, l) = lane l of from[i * Step] for every column l that y has.
template <class S, int Step = 1>
void scatter(const typename Lanes<S>::Element* from, Out<S> y) {
  Index i = 0;
  if constexpr (Lanes<S>::count == 1) {
    for (; i < y.rows(); ++i) y(i, 0) = from[i * Step];
  } else {
    if (y.cols() == lane_count<S>) i = detail::scatter_blocks<S, Step, lane_count<S>>(from, 0, y);
    for (; i < y.rows(); ++i) {
      for (Index l = 0; l < y.cols(); ++l) y(i, l) = from[i * Step][l];
    }
  }
}

/// gather and scatter of up to P packs of columns: pack i of row r is [r][i]. Of packs for which x
/// has no column, all lanes are 0.
template <class S, int P>
void gather_packs(const In<S>& x, typename Lanes<S>::Element (*to)[P]) {
  constexpr Index count = Lanes<S>::count;
  for (Index i = 0; i < P; ++i) {
    const Index first = std::min(i * count, x.cols());
    gather<S, P>(x.middleCols(first, std::min(count, x.cols() - first)), &to[0][i]);
  }
}
template <class S, int P>
void scatter_packs(const typename Lanes<S>::Element (*from)[P], Out<S> y) {
  constexpr Index count = Lanes<S>::count;
  for (Index i = 0; i * count < y.cols(); ++i) {
    scatter<S, P>(&from[0][i], y.middleCols(i * count, std::min(count, y.cols() - i * count)));
  }
}

}  // namespace selgate::kernel
