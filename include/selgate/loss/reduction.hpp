// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/labels.hpp>

namespace selgate {

/// What the sum over the labelled examples is divided by: all B examples of the batch, or the
/// labelled ones alone. They weigh a task with missing labels differently against the others: with
/// half of the labels missing, over_rows is half of over_labelled.
enum class Reduction { over_rows, over_labelled };

/// (1/N) * sum of column(b, scale) over the labelled columns b, N by the reduction; 0 where no
/// column has a label. column returns the loss l of its example and adds scale * dl to the
/// gradient: scale = weight / N.
template <class S, class Column>
accumulate_t<S> mean_loss(Reduction reduction, Index num_labels, const Row<S>& mask, Index num_rows,
                          double weight, const Column& column) {
  accumulate_t<S> sum(0);
  if (num_labels == 0) return sum;
  const auto n = static_cast<double>(reduction == Reduction::over_rows ? num_rows : num_labels);
  const auto scale = S(weight / n);
  for (Index b = 0; b < num_rows; ++b) {
    if (has_label<S>(mask, b)) sum += column(b, scale);
  }
  return sum / accumulate_t<S>(n);
}

/// The door of a loss's gradient: prediction's shape, or not wanted.
template <class S>
void require_gradient_shape(const In<S>& prediction, const Out<S>& dprediction) {
  if (!wanted(dprediction)) return;
  require_size("dprediction: rows of prediction", prediction.rows(), dprediction.rows());
  require_size("dprediction: columns of prediction", prediction.cols(), dprediction.cols());
}

}  // namespace selgate
