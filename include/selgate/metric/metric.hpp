// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/labels.hpp>

#include <concepts>
#include <optional>

namespace selgate {

/// A figure of merit over a data set that arrives in mini-batches: `add` takes predictions
/// (out_features x B), a task's targets (B) and its mask (B, or all_labelled); `value` is the
/// figure over all labelled examples so far, however they were cut into batches, and empty where it
/// is not defined (no example yet; for Auc also: one class alone). A fresh object starts anew.
template <class T>
concept Metric = std::copyable<T> && std::default_initializable<T> &&
                 requires(T& metric, const T& finished, In<typename T::Scalar> prediction,
                          Row<typename T::Scalar> row) {
                   metric.add(prediction, row, row);
                   { finished.value() } -> std::same_as<std::optional<double>>;
                 };

/// The door of every metric, before it counts anything: that of the losses (core/labels.hpp), and
/// numeric_error, naming the column, for a prediction that is NaN where there is a label.
template <class S, class LabelSet>
Index require_predictions(const In<S>& prediction, Index rows, const Row<S>& target,
                          const Row<S>& mask, const LabelSet& set) {
  const Index num_labels = require_labels<S>(prediction, rows, target, mask, set);
  for (Index b = 0; b < prediction.cols(); ++b) {
    if (!has_label<S>(mask, b)) continue;
    for (Index i = 0; i < rows; ++i) {
      if (!(prediction(i, b) == prediction(i, b))) {
        throw numeric_error("prediction: column " + to_text(b) + ", row " + to_text(i) +
                            ": expected a number, got nan");
      }
    }
  }
  return num_labels;
}

}  // namespace selgate
