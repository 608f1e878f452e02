// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/flops.hpp>
#include <selgate/gate/code_book.hpp>
#include <selgate/gate/gate_output.hpp>
#include <selgate/math/entropy.hpp>

#include <algorithm>
#include <bit>
#include <vector>

namespace selgate {

/// k single-expert selectors, mixed: w_e = sum over i of a_i r_e(s_i), where r are the products of
/// math/binary_code.hpp (over their mass, if renormalised), each sent to the expert of its code.
///
/// Mix and bits are of one column (E a scalar), or of a tile of columns (E a pack of scalars). A
/// column may look at its own support alone, 2^f codes a selector; a tile looks at all codes.
class ExpertSelectors {
 public:
  enum class Codes { all, support };
  /// What the passes over one column or tile need; dot and ds are what backward sets.
  template <class E>
  struct Scratch {
    std::vector<E> dot, ds;                     // k, k m
    std::vector<E> products, upstream, halves;  // 2^m, 2^m, selector_scratch(m)
  };

  ExpertSelectors(const CodeBook& codes, Index k) : codes_(codes), k_(k) {}

  [[nodiscard]] const CodeBook& codes() const { return codes_; }
  [[nodiscard]] int num_bits() const { return codes_.num_bits(); }

  /// Without room for codes where dot and ds are set by others.
  template <class E>
  [[nodiscard]] Scratch<E> make_scratch(bool for_codes) const {
    const auto selectors = static_cast<std::size_t>(k_), m = static_cast<std::size_t>(num_bits());
    const auto codes = static_cast<std::size_t>(for_codes ? codes_.num_codes() : 0);
    const auto halves = static_cast<std::size_t>(for_codes ? selector_scratch(num_bits()) : 0);
    return {.dot = std::vector<E>(selectors),
            .ds = std::vector<E>(selectors * m),
            .products = std::vector<E>(codes),
            .upstream = std::vector<E>(codes),
            .halves = std::vector<E>(halves)};
  }

  /// body(expert, a_i r_expert(s_i)), selector after selector. Returns whether a weight in the
  /// support may have underflowed.
  template <class E, class Body>
  bool for_each_weight(Codes which, const E* mix, const SmoothStep<E>* bits, Scratch<E>& scratch,
                       const Body& body) const {
    using S = kernel::scalar_of<E>;
    bool underflow = false;
    const E* r = scratch.products.data();
    for_each_selector(which, mix, bits, [&](Index i, const SmoothStep<E>* s, const Subcube& cube) {
      const E start = codes_.renormalises() ? E(mix[i] / floored_mass(mass(s))) : mix[i];
      const E smallest =
          selector_products(s, cube, start, scratch.products.data(), scratch.halves.data());
      const E unit = kernel::broadcast<E>(S(1));
      underflow |= kernel::any((start > S(0) ? smallest : unit) < smallest_weight<S>());
      codes_.for_each_expert(cube, [&](Index at, Index expert) { body(expert, r[at]); });
    });
    return underflow;
  }
  /// Raises the weights of one column that underflowed, which is this lane of w, all n of them.
  template <class E, class S>
  void raise(const S* mix, const SmoothStep<S>* bits, Index lane, E* w) const {
    auto raise_one = [&](Index, Index expert) {
      if (!(kernel::get_lane(w[expert], lane) < smallest_weight<S>())) return;
      kernel::set_lane(w[expert], lane, smallest_weight<S>());
    };
    for_each_selector(Codes::support, mix, bits,
                      [&](Index, const SmoothStep<S>*, const Subcube& cube) {
                        codes_.for_each_expert(cube, raise_one);
                      });
  }
  /// Entries that for_each_weight has for one column.
  template <class S>
  Index num_codes(const S* mix, const SmoothStep<S>* bits) const {
    Index sum = 0;
    for_each_selector(
        Codes::support, mix, bits,
        [&](Index, const SmoothStep<S>*, const Subcube& cube) { sum += cube.size(); });
    return sum;
  }

  /// Backward: sets dot_i = <r(s_i), dw>, and ds_ij to the derivative of a_i dot_i by s_ij, in the
  /// scratch. make_dw() gives a function of the expert, anew for each selector.
  template <class E, class MakeDerivative>
  void backward(Codes which, const E* mix, const SmoothStep<E>* bits, const MakeDerivative& make_dw,
                Scratch<E>& scratch) const {
    E *dot = scratch.dot.data(), *ds = scratch.ds.data();
    E *u = scratch.upstream.data(), *halves = scratch.halves.data();
    std::fill_n(dot, k_, E{});
    std::fill_n(ds, k_ * num_bits(), E{});
    for_each_selector(which, mix, bits, [&](Index i, const SmoothStep<E>* s, const Subcube& cube) {
      E* ds_i = ds + i * num_bits();
      if (codes_.has_spare()) std::fill_n(u, cube.size(), E{});  // codes without an expert
      auto dw = make_dw();
      codes_.for_each_expert(cube, [&](Index at, Index expert) { u[at] = dw(expert); });
      if (!codes_.renormalises()) {
        dot[i] = selector_gradient(s, cube, mix[i], u, halves, ds_i);
        return;
      }
      const E all = mass(s), divisor = floored_mass(all);
      dot[i] = selector_gradient(s, cube, E(mix[i] / divisor), u, halves, ds_i) / divisor;
      const E slope = all == divisor ? E(-mix[i] * dot[i] / all) : E{};
      reachable_mass_gradient(codes_.num_experts(), s, num_bits(), slope, ds_i);
    });
  }

  /// Of one selector of one column: for_each_weight, adding up included, and backward.
  template <class S>
  [[nodiscard]] Flops flops(Codes which, const SmoothStep<S>* bits) const {
    return flops_of(cube_of(which, bits));
  }

 private:
  /// body(i, bits of selector i, its cube) for those that have a share in the mix.
  template <class E, class Body>
  void for_each_selector(Codes which, const E* mix, const SmoothStep<E>* bits,
                         const Body& body) const {
    for (Index i = 0; i < k_; ++i, bits += num_bits()) {
      if (!kernel::any(mix[i] != kernel::scalar_of<E>(0))) continue;
      body(i, bits, cube_of(which, bits));
    }
  }
  template <class E>
  [[nodiscard]] Subcube cube_of(Codes which, const SmoothStep<E>* bits) const {
    if constexpr (!kernel::is_pack<E>) {
      if (which == Codes::support) return subcube(bits, num_bits());
    }
    return {.base = 0, .free = codes_.num_codes() - 1};
  }
  template <class E>
  [[nodiscard]] E mass(const SmoothStep<E>* bits) const {
    return reachable_mass(codes_.num_experts(), bits, num_bits());
  }

  [[nodiscard]] Flops flops_of(const Subcube& cube) const {
    const std::int64_t m = num_bits(), used = codes_.num_used(cube);
    const auto doubling = [](const Subcube& c) { return 9 * c.num_free() + 2 * (c.size() - 1); };
    const auto contraction = [](const Subcube& c) {
      return c.num_free() == 0 ? 0 : 17 * c.num_free() + 7 * c.size() - 16;
    };
    Flops sum{.forward = doubling(cube) + used, .backward = contraction(cube)};
    if (cube.num_free() > detail::max_undivided) {
      const detail::HalfCubes halves(cube);
      const std::int64_t both = doubling(halves.low) + doubling(halves.high);
      sum = {
          .forward = both + 1 + cube.size() + used,
          .backward = both + 4 * cube.size() + contraction(halves.low) + contraction(halves.high)};
    }
    if (codes_.renormalises()) {  // the mass, and in backward its gradient too
      const std::int64_t ones = std::popcount(detail::digits(codes_.num_experts()));
      sum += {.forward = 5 * m + 5 * ones + 1, .backward = 17 * m + 11 * ones + 4};
    }
    return sum;
  }

  CodeBook codes_;
  Index k_;
};

}  // namespace selgate
