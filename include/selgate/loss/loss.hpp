// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/loss/binary_cross_entropy.hpp>
#include <selgate/loss/softmax_cross_entropy.hpp>
#include <selgate/loss/squared_error.hpp>

#include <concepts>
#include <type_traits>
#include <variant>

namespace selgate {

/// The objective of one task. From predictions (out_features x B), the task's targets (B) and its
/// mask (B, or all_labelled), `evaluate` returns the mean loss, not multiplied by the task's
/// `weight`, and ADDS weight times its derivative to dprediction, unless that is not_wanted.
/// Everything is checked before anything is added (core/labels.hpp says what is thrown).
template <class L>
concept LossFunction =
    std::copyable<L> &&
    requires(const L& loss, In<typename L::Scalar> prediction, Row<typename L::Scalar> row,
             Out<typename L::Scalar> dprediction, accumulate_t<typename L::Scalar> value) {
      value = loss.evaluate(prediction, row, row, 1.0, dprediction);
    };

/// A loss chosen at run time, one per task.
template <class S>
using Loss = std::variant<SquaredError<S>, BinaryCrossEntropy<S>, SoftmaxCrossEntropy<S>>;

template <class S>
accumulate_t<S> evaluate(const Loss<S>& loss, const std::type_identity_t<In<S>>& prediction,
                         const std::type_identity_t<Row<S>>& target,
                         const std::type_identity_t<Row<S>>& mask, double weight,
                         std::type_identity_t<Out<S>> dprediction) {
  return std::visit(
      [&](const auto& chosen) {
        return chosen.evaluate(prediction, target, mask, weight, dprediction);
      },
      loss);
}

}  // namespace selgate
