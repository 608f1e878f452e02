// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/loss/reduction.hpp>
#include <selgate/math/exp_log.hpp>

namespace selgate {

/// (1/N) * sum of -log p_y, p = softmax(z), for logits z (C x B) and class labels y in 0..C-1.
/// With t the largest logit's class (the first of equals), e_c = exp(z_c - z_t) <= 1 and rest = the
/// sum of e_c over c != t:
///   loss  (z_t - z_y) + log(1 + rest),  dz_c = p_c - [c == y],  p_c = e_c / (1 + rest),
/// where p_y - 1 is -rest / (1 + rest) for y == t: next to 0, loss and gradient keep their digits.
template <class S>
struct SoftmaxCrossEntropy {
  using Scalar = S;
  Reduction reduction = Reduction::over_rows;

  accumulate_t<S> evaluate(const In<S>& prediction, const Row<S>& target, const Row<S>& mask,
                           double weight, Out<S> dprediction) const {
    const Index num_classes = prediction.rows();
    const Index num_labels =
        require_labels<S>(prediction, num_classes, target, mask, ClassLabel{num_classes});
    require_gradient_shape<S>(prediction, dprediction);
    auto column = [&](Index b, const S& scale) {
      const auto y = static_cast<Index>(target(b));
      Index top = 0;
      for (Index c = 1; c < num_classes; ++c) {
        if (prediction(c, b) > prediction(top, b)) top = c;
      }
      const S largest = prediction(top, b);
      S rest(0);
      for (Index c = 0; c < num_classes; ++c) {
        if (c != top) rest += exp(prediction(c, b) - largest);
      }
      if (wanted(dprediction)) {
        const S total = S(1) + rest;
        for (Index c = 0; c < num_classes; ++c) {
          const S e = exp(prediction(c, b) - largest);
          const S numerator = c != y ? e : y != top ? e - total : -rest;
          dprediction(c, b) += scale * (numerator / total);
        }
      }
      return accumulate_t<S>(largest - prediction(y, b) + log1p(rest));
    };
    return mean_loss<S>(reduction, num_labels, mask, prediction.cols(), weight, column);
  }
};

}  // namespace selgate
