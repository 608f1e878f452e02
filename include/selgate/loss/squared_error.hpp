// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/loss/reduction.hpp>

namespace selgate {

/// (1/N) * sum of (z - y)^2 for predictions z (1 x B) of targets y; dz = 2 (z - y).
template <class S>
struct SquaredError {
  using Scalar = S;
  Reduction reduction = Reduction::over_rows;

  accumulate_t<S> evaluate(const In<S>& prediction, const Row<S>& target, const Row<S>& mask,
                           double weight, Out<S> dprediction) const {
    const Index num_labels = require_labels<S>(prediction, 1, target, mask, RealLabel{});
    require_gradient_shape<S>(prediction, dprediction);
    auto column = [&](Index b, const S& scale) {
      using A = accumulate_t<S>;
      const A difference = A(prediction(0, b)) - A(target(b));
      if (wanted(dprediction)) dprediction(0, b) += scale * S(A(2) * difference);
      return difference * difference;
    };
    return mean_loss<S>(reduction, num_labels, mask, prediction.cols(), weight, column);
  }
};

}  // namespace selgate
