// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/entropy.hpp>

namespace selgate {

/// What DSelect-k adds to the objective for each selector of a column,
///
///   lambda H(r) + xi / max(mass, 1e-6),
///
/// H by one of the three entropies, mass that of the codes with an expert (Hazimeh et al., 2021,
/// sections 3.1.3 and B.2). It drives the bits to binary, and selectors away from codes without
/// expert. O(log n), value and gradient. Where the mass is below the floor the penalty is constant:
/// the paper's term and its gradient are infinite there.
struct SelectorRegularizer {
  Entropy entropy = Entropy::all_codes;
  double entropy_weight = 0;  // lambda
  double penalty_weight = 0;  // xi; 0 where no mass can be lost

  /// The sum over k selectors of m bits.
  template <class E>
  [[nodiscard]] E value(Index n, const SmoothStep<E>* bits, int m, Index k = 1) const {
    using S = kernel::scalar_of<E>;
    const bool at_once = has_independent_bits(entropy, n, m);
    E entropies{}, inverses{};
    if (entropy_weight != 0 && at_once) entropies = bits_entropy(bits, k * m);
    for (Index i = 0; i < k; ++i, bits += m) {
      if (entropy_weight != 0 && !at_once) entropies += selector_entropy(entropy, n, bits, m);
      if (penalty_weight != 0) inverses += S(1) / floored_mass(reachable_mass(n, bits, m));
    }
    return kernel::rounded(E(S(entropy_weight) * entropies)) + S(penalty_weight) * inverses;
  }
  /// ds[b] += scale * d value / d s_b for the fractional bits b.
  template <class E>
  void add_gradient(Index n, const SmoothStep<E>* bits, int m, double scale, E* ds,
                    Index k = 1) const {
    using S = kernel::scalar_of<E>;
    const auto entropy_scale = S(entropy_weight * scale);
    const bool at_once = has_independent_bits(entropy, n, m);
    if (entropy_weight != 0 && at_once) bits_entropy_gradient(bits, k * m, entropy_scale, ds);
    for (Index i = 0; i < k; ++i, bits += m, ds += m) {
      if (entropy_weight != 0 && !at_once) {
        selector_entropy_gradient(entropy, n, bits, m, entropy_scale, ds);
      }
      if (penalty_weight == 0) continue;
      const E mass = reachable_mass(n, bits, m), square = mass * mass;
      const E slope = mass < S(mass_floor) ? E{} : S(-penalty_weight * scale) / square;
      reachable_mass_gradient(n, bits, m, slope, ds);
    }
  }
};

}  // namespace selgate
