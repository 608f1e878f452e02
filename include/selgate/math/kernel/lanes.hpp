// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/kernel/pack.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <utility>

/// Kernels written once for a scalar and for a pack of them: `count` examples in the lanes, each by
/// the operations of one alone, or `count` neighbours of one long column.
namespace selgate::kernel {

/// What a lane holds: float of Pack<float>, and of float itself.
template <class E>
struct ScalarOf {
  using type = E;
};
template <>
struct ScalarOf<Pack<float>> {
  using type = float;
};
template <>
struct ScalarOf<Pack<double>> {
  using type = double;
};
template <class E>
using scalar_of = typename ScalarOf<E>::type;
template <class E>
inline constexpr bool is_pack = !std::same_as<E, scalar_of<E>>;

/// The same value in every lane. (value + E{} would add: it is not value where that is -0.)
template <class E>
constexpr E broadcast(const scalar_of<E>& value) {
  if constexpr (is_pack<E>) {
    return value - E{};
  } else {
    return value;
  }
}
template <class E>
constexpr scalar_of<E> get_lane(const E& element, [[maybe_unused]] Index lane) {
  if constexpr (is_pack<E>) {
    return element[lane];
  } else {
    return element;
  }
}
template <class E>
constexpr void set_lane(E& element, [[maybe_unused]] Index lane, const scalar_of<E>& value) {
  if constexpr (is_pack<E>) {
    element[lane] = value;
  } else {
    element = value;
  }
}
/// Whether a comparison holds in any lane.
constexpr bool any(bool holds) { return holds; }
template <class Mask>
constexpr bool any(const Mask& mask) {
  bool found = false;
  for (std::size_t l = 0; l < sizeof mask / sizeof mask[0]; ++l) found |= mask[l] != 0;
  return found;
}

namespace detail {

/// Exchanges the entries off the diagonal of each block [a(l) a(l+D); b(l) b(l+D)].
template <int D, class P, std::size_t... L>
[[gnu::always_inline]] inline void exchange(P& a, P& b, std::index_sequence<L...>) {
  constexpr std::size_t n = sizeof...(L), d = D;
  const P low = __builtin_shufflevector(a, b, ((L & d) == 0 ? L : n + L - d)...);
  b = __builtin_shufflevector(a, b, ((L & d) == 0 ? L + d : n + L)...);
  a = low;
}

/// sums[i] = the lanes of packs[i], added as a tree: neighbours first, then neighbouring pairs...
template <class S, int D = 1, int N>
[[gnu::always_inline]] inline void sum_lanes(Pack<S> (&packs)[N], S* sums) {
  constexpr int lanes = lane_count<S>;
  if constexpr (D == lanes) {
#pragma GCC unroll 16
    for (int i = 0; i < N; i += lanes) {
      const auto count = static_cast<std::size_t>(std::min(lanes, N - i));
      std::memcpy(sums + i, &packs[i], count * sizeof(S));
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < N; i += 2 * D) {
      Pack<S> other = i + D < N ? packs[i + D] : Pack<S>{};
      exchange<D>(packs[i], other, std::make_index_sequence<lanes>{});
      packs[i] += other;
    }
    sum_lanes<S, 2 * D>(packs, sums);
  }
}

}  // namespace detail

/// One lane, as any scalar has; float and double (below) have a pack of them.
template <class S>
struct Lanes {
  using Element = S;
  static constexpr Index count = 1;
  static S load(const S* from) { return *from; }
  static void store(const S& element, S* to) { *to = element; }
  static S load(const S* from, Index size) { return size > 0 ? *from : S(0); }
  static void store(const S& element, S* to, Index size) {
    if (size > 0) *to = element;
  }
  static S sum(const S& element) { return element; }

  using Number = int;
};
template <class S>
  requires std::same_as<S, float> || std::same_as<S, double>
struct Lanes<S> {
  using Element = Pack<S>;
  static constexpr Index count = lane_count<S>;
  static Element load(const S* from) {
    Element element;
    kernel::load<S>(from, element);
    return element;
  }
  static void store(const Element& element, S* to) { kernel::store<S>(element, to); }
  /// Of so many lanes; the others are 0.
  static Element load(const S* from, Index size) {
    if (size == count) return load(from);
    Element element{};
    for (Index l = 0; l < size; ++l) element[l] = from[l];
    return element;
  }
  static void store(const Element& element, S* to, Index size) {
    if (size == count) return store(element, to);
    for (Index l = 0; l < size; ++l) to[l] = element[l];
  }
  /// As a tree: neighbours first, then neighbouring pairs...
  static S sum(const Element& element) {
    Element packs[] = {element};
    S sum;
    detail::sum_lanes<S>(packs, &sum);
    return sum;
  }

  using Number = decltype(Element{} < Element{});
};

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

/// gather of rows i, i + 1, ... for as many whole blocks of R, R / 2, ... 2 rows as there are, for
/// as many columns as lanes; returns how many rows that makes.
template <class S, int R>
Index gather_blocks(const In<S>& x, Index i, Pack<S>* to) {
  constexpr int lanes = lane_count<S>;
  if constexpr (R == 1) {
    return i;
  } else {
    for (; i + R <= x.rows(); i += R) {
      Pack<S> block[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        block[r] = load_parts<S, R, lanes>(x.data() + r * x.outerStride() + i, R * x.outerStride(),
                                           std::make_index_sequence<lanes / 2>{});
      }
      transpose<1>(block);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) to[i + r] = block[r];
    }
    return gather_blocks<S, R / 2>(x, i, to);
  }
}
template <class S, int R>
Index scatter_blocks(const Pack<S>* from, Index i, Out<S>& y) {
  constexpr int lanes = lane_count<S>;
  if constexpr (R == 1) {
    return i;
  } else {
    for (; i + R <= y.rows(); i += R) {
      Pack<S> block[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) block[r] = from[i + r];
      transpose<1>(block);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        store_parts<S, R, lanes>(block[r], y.data() + r * y.outerStride() + i, R * y.outerStride(),
                                 std::make_index_sequence<lanes / 2>{});
      }
    }
    return scatter_blocks<S, R / 2>(from, i, y);
  }
}

}  // namespace detail

/// sums[i] = Lanes<S>::sum(packs[i]).
template <class S, int N>
[[gnu::always_inline]] inline void sum_lanes(typename Lanes<S>::Element (&packs)[N], S* sums) {
  if constexpr (Lanes<S>::count == 1) {
    std::copy_n(packs, N, sums);
  } else {
    detail::sum_lanes<S>(packs, sums);
  }
}

/// to[i], lane l = x(i, l), or 0 where x has no column l. x: features x at most Lanes<S>::count.
template <class S>
void gather(const In<S>& x, typename Lanes<S>::Element* to) {
  Index i = 0;
  if constexpr (Lanes<S>::count == 1) {
    for (; i < x.rows(); ++i) to[i] = x(i, 0);
  } else {
    if (x.cols() == lane_count<S>) i = detail::gather_blocks<S, lane_count<S>>(x, 0, to);
    for (; i < x.rows(); ++i) {
      to[i] = Pack<S>{};
      for (Index l = 0; l < x.cols(); ++l) to[i][l] = x(i, l);
    }
  }
}

/// y(i, l) = lane l of from[i] for every column l that y has.
template <class S>
void scatter(const typename Lanes<S>::Element* from, Out<S> y) {
  Index i = 0;
  if constexpr (Lanes<S>::count == 1) {
    for (; i < y.rows(); ++i) y(i, 0) = from[i];
  } else {
    if (y.cols() == lane_count<S>) i = detail::scatter_blocks<S, lane_count<S>>(from, 0, y);
    for (; i < y.rows(); ++i) {
      for (Index l = 0; l < y.cols(); ++l) y(i, l) = from[i][l];
    }
  }
}

/// gather and scatter of up to P packs of columns: pack i of row r is at [i * stride + r]. Of packs
/// for which x has no column, all lanes are 0.
template <class S, int P>
void gather_packs(const In<S>& x, Index stride, typename Lanes<S>::Element* to) {
  constexpr Index count = Lanes<S>::count;
  for (Index i = 0; i < P; ++i) {
    const Index first = std::min(i * count, x.cols());
    gather<S>(x.middleCols(first, std::min(count, x.cols() - first)), to + i * stride);
  }
}
template <class S>
void scatter_packs(const typename Lanes<S>::Element* from, Index stride, Out<S> y) {
  constexpr Index count = Lanes<S>::count;
  for (Index first = 0; first < y.cols(); first += count, from += stride) {
    scatter<S>(from, y.middleCols(first, std::min(count, y.cols() - first)));
  }
}

}  // namespace selgate::kernel
