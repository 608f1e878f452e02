// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/flops.hpp>
#include <selgate/gate/code_book.hpp>
#include <selgate/gate/gate_output.hpp>
#include <selgate/math/entropy.hpp>
#include <selgate/math/selector_products.hpp>

#include <algorithm>
#include <bit>
#include <type_traits>
#include <vector>

namespace selgate {

/// k single-expert selectors, mixed: w_e = sum over i of a_i r_e(s_i), where r are the products of
/// math/selector_products.hpp (over their mass, if renormalised), each sent to the expert of its
/// code.
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
    bool underflow = false;
    E* r = scratch.products.data();
    for_each_selector(which, mix, bits, [&](Index i, const SmoothStep<E>* s, const Subcube& cube) {
      underflow |= set_products(mix[i], s, cube, r, scratch);
      codes_.for_each_expert(cube, [&](Index at, Index expert) { body(expert, r[at]); });
    });
    return underflow;
  }
  /// Sets w to the sums of these weights, all n of them.
  template <class E>
  bool add_up(Codes which, const E* mix, const SmoothStep<E>* bits, Scratch<E>& scratch,
              E* w) const {
    bool underflow = false, is_set = false;
    E* r = scratch.products.data();
    for_each_selector(which, mix, bits, [&](Index i, const SmoothStep<E>* s, const Subcube& cube) {
      const bool only = !is_set && cube.size() == num_experts();
      if (!is_set && !only) std::fill_n(w, num_experts(), E{});
      is_set = true;
      underflow |= set_products(mix[i], s, cube, only ? w : r, scratch);
      if (only) return;
      codes_.for_each_expert(cube, [&](Index at, Index expert) { w[expert] += r[at]; });
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
  /// scratch. make_dw() gives something to index by expert, anew for each selector.
  template <class E, class MakeDerivative>
  void backward(Codes which, const E* mix, const SmoothStep<E>* bits, const MakeDerivative& make_dw,
                Scratch<E>& scratch) const {
    E *dot = scratch.dot.data(), *ds = scratch.ds.data();
    E* halves = scratch.halves.data();
    std::fill_n(dot, k_, E{});
    std::fill_n(ds, k_ * num_bits(), E{});
    for_each_selector(which, mix, bits, [&](Index i, const SmoothStep<E>* s, const Subcube& cube) {
      E* ds_i = ds + i * num_bits();
      auto dw = make_dw();
      const E* u = upstream(cube, dw, scratch);
      if (!codes_.renormalises()) {
        dot[i] = selector_gradient(s, cube, mix[i], u, halves, ds_i);
        return;
      }
      const E all = mass(s), divisor = floored_mass(all);
      dot[i] = selector_gradient(s, cube, E(mix[i] / divisor), u, halves, ds_i) / divisor;
      const E slope = all == divisor ? E(-mix[i] * dot[i] / all) : E{};
      reachable_mass_gradient(num_experts(), s, num_bits(), slope, ds_i);
    });
  }

  /// Of one selector of one column: for_each_weight, adding up included, and backward. The `first`
  /// that has a share in the mix sets what the others add to.
  template <class S>
  [[nodiscard]] Flops flops(Codes which, const SmoothStep<S>* bits, bool first) const {
    return flops_of(cube_of(which, bits), first);
  }

 private:
  [[nodiscard]] Index num_experts() const { return codes_.num_experts(); }
  /// Sets r to the products of selector i, for the codes of its cube. Returns whether one may have
  /// underflowed.
  template <class E>
  bool set_products(const E& mix, const SmoothStep<E>* bits, const Subcube& cube, E* r,
                    Scratch<E>& scratch) const {
    using S = kernel::scalar_of<E>;
    const E start = codes_.renormalises() ? E(mix / floored_mass(mass(bits))) : mix;
    const E smallest = selector_products(bits, cube, start, r, scratch.halves.data());
    const E unit = kernel::broadcast<E>(S(1));
    return kernel::any((start > S(0) ? smallest : unit) < S(2) * smallest_weight<S>());
  }
  /// dw at the codes of a cube, 0 at those without an expert.
  template <class E, class Derivative>
  const E* upstream(const Subcube& cube, Derivative& dw, Scratch<E>& scratch) const {
    if constexpr (std::is_pointer_v<Derivative>) {
      if (cube.size() == num_experts()) return dw;
    }
    E* u = scratch.upstream.data();
    if (codes_.has_spare()) std::fill_n(u, cube.size(), E{});
    codes_.for_each_expert(cube, [&](Index at, Index expert) { u[at] = dw[expert]; });
    return u;
  }
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
    return reachable_mass(num_experts(), bits, num_bits());
  }

  [[nodiscard]] Flops flops_of(const Subcube& cube, bool first) const {
    const bool is_set = first && cube.size() == num_experts();
    const std::int64_t m = num_bits(), used = is_set ? 0 : codes_.num_used(cube);
    const std::int64_t free = cube.num_free();
    const auto doubling = [](const Subcube& c) { return 2 * (c.size() - 1); };
    const auto contraction = [](const Subcube& c) {
      return c.num_free() == 0 ? 0 : 8 * c.num_free() + 7 * c.size() - 8;
    };
    Flops sum{.forward = 1 + 9 * free + doubling(cube) + used, .backward = contraction(cube)};
    if (free > detail::max_undivided) {
      const detail::HalfCubes halves(cube);
      const std::int64_t both = doubling(halves.low) + doubling(halves.high);
      sum = {
          .forward = 2 + 9 * free + both + cube.size() + used,
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
