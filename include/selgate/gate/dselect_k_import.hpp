// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/dselect_k_head.hpp>

#include <cmath>
#include <utility>

namespace selgate {

/// The logits column that makes a DSelect-k head give the weights w (Proposition 1 of Hazimeh et
/// al., 2021, appendix B.1: every convex w with at most k non-zeros has one).
///
/// The non-zero experts take one selector each, the last of them all that are left over; bits are
/// z = +-gamma/2 (1 + margin). margin >= 0 gives w to rounding with frozen bits; margin in (-1, 0)
/// leaves the bits fractional and trainable, and w approximate. Erratum of the paper: it divides
/// the last weight by k - s*, but the k - s* + 1 selectors i = s*..k share it.
///
/// Throws shape_error unless w has n entries, config_error unless they are >= 0, sum to 1 within
/// 1e-4 and have 1..k non-zeros, or for margin <= -1.
template <class S>
Vector<S> dselect_k_logits(const DSelectKHead<S>& head, const Vector<S>& w, double margin = 0) {
  require_size("DSelect-k weights: entries", head.num_experts(), w.size());
  require(margin > -1 && margin - margin == 0, "DSelect-k weights: margin", "> -1", margin);
  Index support = 0;
  S sum(0);
  for (Index e = 0; e < w.size(); ++e) {
    require(w[e] >= S(0), "DSelect-k weights: entry " + to_text(e), ">= 0",
            static_cast<double>(w[e]));
    support += w[e] > S(0);
    sum += w[e];
  }
  require(support >= 1 && support <= head.k(), "DSelect-k weights: non-zeros",
          "1.." + to_text(head.k()) + " (k)", support);
  require(std::abs(static_cast<double>(sum) - 1) <= 1e-4, "DSelect-k weights: sum", "1",
          static_cast<double>(sum));

  const Index k = head.k();
  const int m = head.num_bits();
  const S z = S(head.options().gamma / 2 * (1 + margin));
  Vector<S> logits(head.num_logits());
  Index expert = -1, placed = 0;
  for (Index i = 0; i < k; ++i) {
    if (placed < support) {
      do ++expert; while (!(w[expert] > S(0)));
      ++placed;
    }
    const Index sharers = placed == support ? k - support + 1 : 1;
    logits[i] = log(w[expert] / S(static_cast<double>(sharers)));
    for (int j = 0; j < m; ++j) logits[k + i * m + j] = (expert >> j & 1) != 0 ? z : -z;
  }
  return logits;
}

/// Makes task t of a DSelect-k bank give the weights w: a static gate directly, a per-example gate
/// (it needs biases: config_error) for every example, its maps set to zero.
template <class Bank, class S>
void set_weights(Bank& bank, Index t, const Vector<S>& w, double margin = 0) {
  const Vector<S> logits = dselect_k_logits(bank.head(), w, margin);
  auto gate = bank.task(t);
  require(gate.rows != nullptr, "DSelect-k weights: options.bias of a per-example gate", "true",
          false);
  if (gate.weight != nullptr) {
    std::fill(gate.weight, gate.weight + gate.in_features * logits.size(), S(0));
  }
  std::copy(logits.data(), logits.data() + logits.size(), gate.rows);
}

/// Turns parameters whose bits are stored most significant first (the TensorFlow layer, LibMTL)
/// into ours and back: reverses the bits of every selector. For a DSelect-k bank or its gradient.
template <class Bank>
void reverse_bit_order(Bank& bank) {
  auto reverse = [](auto* first, Index count, Index size) {
    for (Index a = 0, b = count - 1; a < b; ++a, --b) {
      std::swap_ranges(first + a * size, first + (a + 1) * size, first + b * size);
    }
  };
  for (Index t = 0; t < bank.num_tasks(); ++t) {
    auto gate = bank.task(t);
    const RowGroup& codes = gate.groups->at(1);
    const Index k = codes.shape[0], m = codes.shape[1];
    for (Index i = 0; i < k; ++i) {
      const Index row = codes.first + i * m;
      if (gate.weight != nullptr)
        reverse(gate.weight + gate.in_features * row, m, gate.in_features);
      if (gate.rows != nullptr) reverse(gate.rows + row, m, 1);
    }
  }
}

}  // namespace selgate
