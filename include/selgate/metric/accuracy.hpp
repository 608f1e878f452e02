// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/metric/metric.hpp>

#include <cstdint>

namespace selgate {

/// The share of labelled examples whose class is predicted right. C >= 2 rows of logits or
/// probabilities: the largest wins, the lowest class of equals. One row is a logit: class 1 where
/// it is > 0, that is, where the probability is > 1/2.
template <class S>
class Accuracy {
 public:
  using Scalar = S;

  void add(const In<S>& prediction, const Row<S>& target, const Row<S>& mask) {
    const Index rows = prediction.rows(), num_classes = rows == 1 ? 2 : rows;
    num_labels_ += require_predictions<S>(prediction, rows, target, mask, ClassLabel{num_classes});
    for (Index b = 0; b < prediction.cols(); ++b) {
      if (!has_label<S>(mask, b)) continue;
      Index top = 0;
      if (rows == 1) {
        top = prediction(0, b) > S(0) ? 1 : 0;
      } else {
        for (Index c = 1; c < rows; ++c) {
          if (prediction(c, b) > prediction(top, b)) top = c;
        }
      }
      if (S(top) == target(b)) ++num_right_;
    }
  }

  [[nodiscard]] std::optional<double> value() const {
    if (num_labels_ == 0) return std::nullopt;
    return static_cast<double>(num_right_) / static_cast<double>(num_labels_);
  }

 private:
  std::int64_t num_right_ = 0;
  std::int64_t num_labels_ = 0;
};

}  // namespace selgate
