// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/core/types.hpp>

#include <algorithm>
#include <string>

namespace selgate {

/// One number per example: a task's targets, or its mask. A row of a (tasks x B) matrix is passed
/// as it is, without a copy. Class labels are stored as numbers.
template <class S>
using Row = Eigen::Ref<const Eigen::Matrix<S, 1, Eigen::Dynamic>, 0, Eigen::InnerStride<>>;

/// The mask of a task whose labels are all there. Any other mask has one entry per example, and a
/// label is there where it is not 0.
template <class S>
Row<S> all_labelled() {
  return Row<S>(Eigen::Map<const Eigen::Matrix<S, 1, Eigen::Dynamic>>(nullptr, 0));
}
template <class S>
bool has_label(const Row<S>& mask, Index column) {
  return mask.size() == 0 || mask(column) != S(0);
}

/// A member of what is neither copied, moved nor assigned.
struct NotCopied {
  NotCopied() = default;
  NotCopied(const NotCopied&) = delete;
  NotCopied& operator=(const NotCopied&) = delete;
};

/// Labels of all tasks, T x B: a class is its number. The mask (non-zero: labelled) is T x B, or
/// 0 x 0 where every label is there.
template <class S>
struct Labels {
  In<S> values;
  In<S> mask = Matrix<S>();
  /// Neither copied nor moved: of an expression `values` holds the numbers, and the other's would
  /// point there. Pass it on by reference.
  NotCopied not_copied = {};
};

/// The sets of labels that losses and metrics accept.
struct RealLabel {
  [[nodiscard]] std::string text() const { return "a number"; }
  template <class S>
  [[nodiscard]] bool contains(const S&) const {
    return true;
  }
};
struct ProbabilityLabel {
  [[nodiscard]] std::string text() const { return "a probability 0..1"; }
  template <class S>
  [[nodiscard]] bool contains(const S& y) const {
    return y >= S(0) && y <= S(1);
  }
};
/// One of the classes 0..num_classes-1.
struct ClassLabel {
  Index num_classes;
  [[nodiscard]] std::string text() const { return "a class 0.." + to_text(num_classes - 1); }
  template <class S>
  [[nodiscard]] bool contains(const S& y) const {
    return y >= S(0) && y < S(num_classes) && S(static_cast<Index>(y)) == y;
  }
};

namespace detail {
/// Whether all labels of a row without gaps are finite and in the set. (One NaN makes a sum NaN.)
template <class S, class LabelSet>
bool all_fit(const S* target, Index size, const LabelSet& set) {
  const Eigen::Map<const Eigen::Array<S, Eigen::Dynamic, 1>> labels(target, size);
  return (labels - labels).sum() == S(0) &&
         std::all_of(target, target + size, [&](const S& y) { return set.contains(y); });
}
}  // namespace detail

/// Throws shape_error unless prediction is rows x B with target and mask of B entries.
template <class S>
void require_label_shapes(const In<S>& prediction, Index rows, const Row<S>& target,
                          const Row<S>& mask) {
  require_size("prediction: rows", rows, prediction.rows());
  require_size("target: entries (examples in prediction)", prediction.cols(), target.cols());
  if (mask.size() != 0) {
    require_size("mask: entries (examples in prediction)", prediction.cols(), mask.cols());
  }
}

/// The door of every loss and metric. Returns how many of the columns have a label. Throws
/// shape_error unless prediction is rows x B with target and mask of B entries, numeric_error for a
/// label that is not finite (a missing one belongs in the mask) and data_error for one outside the
/// set; both name the column. What stands under a masked column is never looked at.
template <class S, class LabelSet>
Index require_labels(const In<S>& prediction, Index rows, const Row<S>& target, const Row<S>& mask,
                     const LabelSet& set) {
  require_label_shapes(prediction, rows, target, mask);
  if (mask.size() == 0 && target.innerStride() == 1 &&
      detail::all_fit(target.data(), target.cols(), set)) {
    return target.cols();
  }
  Index count = 0;
  for (Index b = 0; b < target.cols(); ++b) {
    if (!has_label<S>(mask, b)) continue;
    const S y = target(b);
    ++count;
    if (!(y - y == S(0))) {
      throw numeric_error("target: column " + to_text(b) +
                          ": expected a finite number (or 0 in the mask), got " +
                          to_text(static_cast<double>(y)));
    }
    if (!set.contains(y)) {
      throw data_error("target", "column " + to_text(b), "label", set.text(),
                       to_text(static_cast<double>(y)));
    }
  }
  return count;
}

}  // namespace selgate
