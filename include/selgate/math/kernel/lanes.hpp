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

/// Every second place of a, then of b, in each group of `Group` lanes; a place is `Width` lanes.
template <std::size_t Odd, std::size_t Width, std::size_t Group, class P, std::size_t... L>
[[gnu::always_inline]] inline P every_second(const P& a, const P& b, std::index_sequence<L...>) {
  constexpr std::size_t n = sizeof...(L), half = Group / 2;
  return __builtin_shufflevector(
      a, b,
      (L / half % 2 * n + L / Group * Group + (L % half / Width * 2 + Odd) * Width + L % Width)...);
}

/// sums[i] = the lanes of packs[i], added as a tree: neighbours first, then neighbouring pairs...
/// Within 16 bytes and then between them, as shuffles are cheapest.
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
    constexpr std::size_t part = 16 / sizeof(S), width = D < int{part} ? 1 : part,
                          group = D < int{part} ? part : lanes;
    constexpr auto every = std::make_index_sequence<lanes>{};
#pragma GCC unroll 16
    for (int i = 0; i < N; i += 2 * D) {
      const Pack<S> a = packs[i], b = i + D < N ? packs[i + D] : Pack<S>{};
      packs[i] =
          every_second<0, width, group>(a, b, every) + every_second<1, width, group>(a, b, every);
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

/// sums[i] = Lanes<S>::sum(packs[i]).
template <class S, int N>
[[gnu::always_inline]] inline void sum_lanes(typename Lanes<S>::Element (&packs)[N], S* sums) {
  if constexpr (Lanes<S>::count == 1) {
    std::copy_n(packs, N, sums);
  } else {
    detail::sum_lanes<S>(packs, sums);
  }
}

}  // namespace selgate::kernel
