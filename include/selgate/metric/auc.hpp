// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/metric/metric.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace selgate {

/// Area under the ROC curve: the probability that a random example of class 1 scores above a random
/// one of class 0, a tie counting half (the Mann-Whitney statistic; Hanley and McNeil, 1982). One
/// score per example, 1 x B, a logit or any increasing function of it; labels 0 and 1. Counted in
/// whole numbers, so exact up to the last division. Keeps all n scores; `value` sorts a copy of
/// them, O(n log n). Empty unless both classes were seen.
template <class S>
class Auc {
 public:
  using Scalar = S;

  void add(const In<S>& prediction, const Row<S>& target, const Row<S>& mask) {
    require_predictions<S>(prediction, 1, target, mask, ClassLabel{2});
    for (Index b = 0; b < prediction.cols(); ++b) {
      if (has_label<S>(mask, b)) (target(b) == S(0) ? zeros_ : ones_).push_back(prediction(0, b));
    }
  }

  [[nodiscard]] std::optional<double> value() const {
    if (zeros_.empty() || ones_.empty()) return std::nullopt;
    std::vector<S> zeros = zeros_, ones = ones_;
    std::sort(zeros.begin(), zeros.end());
    std::sort(ones.begin(), ones.end());
    // Along ascending `ones`, the zeros below and the zeros not above only grow.
    std::size_t below = 0, not_above = 0;
    std::uint64_t twice_wins = 0;
    for (const S& one : ones) {
      while (below < zeros.size() && zeros[below] < one) ++below;
      while (not_above < zeros.size() && zeros[not_above] <= one) ++not_above;
      twice_wins += below + not_above;
    }
    return static_cast<double>(twice_wins) /
           (2.0 * static_cast<double>(ones.size()) * static_cast<double>(zeros.size()));
  }

 private:
  std::vector<S> zeros_, ones_;  // the scores of either class
};

}  // namespace selgate
