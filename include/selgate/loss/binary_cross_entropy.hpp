// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/loss/reduction.hpp>
#include <selgate/math/exp_log.hpp>

namespace selgate {

/// (1/N) * sum of -y log p - (1 - y) log(1 - p), p = 1 / (1 + exp(-z)), for logits z (1 x B) and
/// targets y in [0, 1]. With e = exp(-|z|), which never overflows:
///   loss  max(z, 0) - z y + log(1 + e)
///   dz = p - y = (1 - y) p - y (1 - p),  {p, 1 - p} = {1, e} / (1 + e)  for z >= 0, swapped below;
/// the last form keeps its digits where p is next to 0 or 1.
template <class S>
struct BinaryCrossEntropy {
  using Scalar = S;
  Reduction reduction = Reduction::over_rows;

  accumulate_t<S> evaluate(const In<S>& prediction, const Row<S>& target, const Row<S>& mask,
                           double weight, Out<S> dprediction) const {
    const Index num_labels = require_labels<S>(prediction, 1, target, mask, ProbabilityLabel{});
    require_gradient_shape<S>(prediction, dprediction);
    auto column = [&](Index b, const S& scale) {
      const S z = prediction(0, b), y = target(b);
      const bool positive = z >= S(0);
      const S e = exp(positive ? S(-z) : z);
      if (wanted(dprediction)) {
        const S large = S(1) / (S(1) + e), small = e * large;
        const S p = positive ? large : small, not_p = positive ? small : large;
        dprediction(0, b) += scale * ((S(1) - y) * p - y * not_p);
      }
      return accumulate_t<S>((positive ? z : S(0)) - z * y + log1p(e));
    };
    return mean_loss<S>(reduction, num_labels, mask, prediction.cols(), weight, column);
  }
};

}  // namespace selgate
