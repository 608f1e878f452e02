// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/metric/metric.hpp>

#include <cmath>
#include <cstdint>

namespace selgate {

/// sqrt of the mean of (prediction - target)^2 over the labelled examples; predictions are 1 x B.
template <class S>
class Rmse {
 public:
  using Scalar = S;

  void add(const In<S>& prediction, const Row<S>& target, const Row<S>& mask) {
    num_labels_ += require_predictions<S>(prediction, 1, target, mask, RealLabel{});
    for (Index b = 0; b < prediction.cols(); ++b) {
      if (!has_label<S>(mask, b)) continue;
      const auto difference = accumulate_t<S>(prediction(0, b)) - accumulate_t<S>(target(b));
      sum_ += difference * difference;
    }
  }

  [[nodiscard]] std::optional<double> value() const {
    if (num_labels_ == 0) return std::nullopt;
    return std::sqrt(static_cast<double>(sum_) / static_cast<double>(num_labels_));
  }

 private:
  accumulate_t<S> sum_ = accumulate_t<S>(0);
  std::int64_t num_labels_ = 0;
};

}  // namespace selgate
