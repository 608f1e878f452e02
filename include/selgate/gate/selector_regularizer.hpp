// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/entropy.hpp>

namespace selgate {

/// What DSelect-k adds to the objective for one selector of one column,
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

  template <class E>
  [[nodiscard]] E value(Index n, const SmoothStep<E>* bits, int m) const {
    using S = kernel::scalar_of<E>;
    E sum{};
    if (entropy_weight != 0) sum += S(entropy_weight) * selector_entropy(entropy, n, bits, m);
    if (penalty_weight != 0) sum += S(penalty_weight) / floored_mass(reachable_mass(n, bits, m));
    return sum;
  }
  /// ds[j] += scale * d value / d s_j for the fractional bits j.
  template <class E>
  void add_gradient(Index n, const SmoothStep<E>* bits, int m, double scale, E* ds) const {
    using S = kernel::scalar_of<E>;
    if (entropy_weight != 0) {
      selector_entropy_gradient(entropy, n, bits, m, S(entropy_weight * scale), ds);
    }
    if (penalty_weight == 0) return;
    const E mass = reachable_mass(n, bits, m), square = mass * mass;
    const E slope = mass < S(mass_floor) ? E{} : S(-penalty_weight * scale) / square;
    reachable_mass_gradient(n, bits, m, slope, ds);
  }
};

}  // namespace selgate
