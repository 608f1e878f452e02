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

/// The same value in every lane.
template <class E>
constexpr E broadcast(const scalar_of<E>& value) {
  if constexpr (is_pack<E>) {
    return E{} + value;
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

/// One lane, as any scalar has; float and double (below) have a pack of them.
template <class S>
struct Lanes {
  using Element = S;
  static constexpr Index count = 1;
  static S load(const S* from) { return *from; }
  static void store(const S& element, S* to) { *to = element; }
  static S sum(const S& element) { return element; }
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
  /// In the order of the lanes.
  static S sum(const Element& element) {
    S total = element[0];
    for (Index l = 1; l < count; ++l) total += element[l];
    return total;
  }
};

namespace detail {

/// Exchanges the entries off the diagonal of each block [a(l) a(l+D); b(l) b(l+D)].
template <int D, class P, std::size_t... L>
[[gnu::always_inline]] inline void exchange(P& a, P& b, std::index_sequence<L...>) {
  constexpr std::size_t n = sizeof...(L), d = D;
  const P low = __builtin_shufflevector(a, b, ((L & d) == 0 ? L : n + L - d)...);
  b = __builtin_shufflevector(a, b, ((L & d) == 0 ? L + d : n + L)...);
  a = low;
}

/// rows[i][l] <-> rows[l][i] in log2(lanes) steps; step D swaps bit D of i and l (Eklundh, 1972).
template <class S, int D = 1>
[[gnu::always_inline]] inline void transpose(Pack<S> (&rows)[lane_count<S>]) {
  constexpr int lanes = lane_count<S>;
  if constexpr (D < lanes) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      if ((i & D) == 0) exchange<D>(rows[i], rows[i + D], std::make_index_sequence<lanes>{});
    }
    transpose<S, 2 * D>(rows);
  }
}

}  // namespace detail

/// sums[i] = the lanes of packs[i], added as a tree: neighbours first, then neighbouring pairs...
template <class S, int D = 1, int N>
  requires(Lanes<S>::count > 1)
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
      detail::exchange<D>(packs[i], other, std::make_index_sequence<lanes>{});
      packs[i] += other;
    }
    sum_lanes<S, 2 * D>(packs, sums);
  }
}

template <class S, int N>
  requires(Lanes<S>::count == 1)
void sum_lanes(S (&packs)[N], S* sums) {
  std::copy_n(packs, N, sums);
}

/// to[i], lane l = x(i, l), or 0 where x has no column l. x: features x at most Lanes<S>::count.
template <class S>
void gather(const In<S>& x, typename Lanes<S>::Element* to) {
  Index i = 0;
  if constexpr (Lanes<S>::count == 1) {
    for (; i < x.rows(); ++i) to[i] = x(i, 0);
  } else {
    constexpr Index lanes = lane_count<S>;
    for (; i + lanes <= x.rows() && x.cols() == lanes; i += lanes) {
      Pack<S> block[lanes];
#pragma GCC unroll 16
      for (Index l = 0; l < lanes; ++l) load<S>(x.data() + l * x.outerStride() + i, block[l]);
      detail::transpose<S>(block);
#pragma GCC unroll 16
      for (Index l = 0; l < lanes; ++l) to[i + l] = block[l];
    }
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
    constexpr Index lanes = lane_count<S>;
    for (; i + lanes <= y.rows() && y.cols() == lanes; i += lanes) {
      Pack<S> block[lanes];
#pragma GCC unroll 16
      for (Index l = 0; l < lanes; ++l) block[l] = from[i + l];
      detail::transpose<S>(block);
#pragma GCC unroll 16
      for (Index l = 0; l < lanes; ++l) store<S>(block[l], y.data() + l * y.outerStride() + i);
    }
    for (; i < y.rows(); ++i) {
      for (Index l = 0; l < y.cols(); ++l) y(i, l) = from[i][l];
    }
  }
}

}  // namespace selgate::kernel
