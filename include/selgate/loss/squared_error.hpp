// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/loss/reduction.hpp>
#include <selgate/math/kernel/squared_error.hpp>

#include <algorithm>
#include <concepts>

namespace selgate {

/// (1/N) * sum of (z - y)^2 for predictions z (1 x B) of targets y; dz = 2 (z - y). Differences are
/// taken as S has them, squares and their sum in accumulate_t<S>.
template <class S>
struct SquaredError {
  using Scalar = S;
  Reduction reduction = Reduction::over_rows;

  accumulate_t<S> evaluate(const In<S>& prediction, const Row<S>& target, const Row<S>& mask,
                           double weight, Out<S> dprediction) const {
    require_label_shapes(prediction, 1, target, mask);
    require_gradient_shape<S>(prediction, dprediction);
    if constexpr (std::same_as<S, float> || std::same_as<S, double>) {
      // Numbers side by side, as a multi-task model has them.
      const auto is_row = [](const auto& matrix) { return matrix.outerStride() == 1; };
      if (mask.size() == 0 && is_row(prediction) && target.innerStride() == 1 &&
          (!wanted(dprediction) || is_row(dprediction))) {
        const Index size = prediction.cols();
        const double sum = kernel::squared_error(prediction.data(), target.data(), size);
        if (sum - sum == 0) {  // so all labels are finite
          const auto n = static_cast<double>(std::max<Index>(1, size));
          const auto scale = S(weight / n);
          for (Index b = 0; b < dprediction.cols(); ++b) {
            dprediction(0, b) += scale * (S(2) * (prediction(0, b) - target(b)));
          }
          return sum / n;
        }
      }
    }
    const Index num_labels = require_labels<S>(prediction, 1, target, mask, RealLabel{});
    auto column = [&](Index b, const S& scale) {
      const S difference = prediction(0, b) - target(b);
      if (wanted(dprediction)) dprediction(0, b) += scale * (S(2) * difference);
      return accumulate_t<S>(difference) * accumulate_t<S>(difference);
    };
    return mean_loss<S>(reduction, num_labels, mask, prediction.cols(), weight, column);
  }
};

}  // namespace selgate
