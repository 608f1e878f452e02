// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/core/non_zeros.hpp>
#include <selgate/gate/routing.hpp>

#include <algorithm>
#include <limits>

namespace selgate {

/// How a gate hands out its weights; fixed per model.
///   dense    n x columns, zeros written out
///   routing  the entries of the support alone: cost and memory do not depend on n
enum class Storage { dense, routing };

/// The weights of a gate, one column per logits column, or the derivative by them.
///
/// Invariant: a weight is non-zero iff its expert is in the support. DSelect-k's support is a
/// property of its bits, so a product that would underflow is raised to the smallest normal number;
/// a softmax that underflows to 0 leaves the support, and its derivative is 0 there too. A
/// derivative has values in the support of its weights alone, and 0 elsewhere.
template <class S>
class GateOutput {
 public:
  GateOutput() = default;
  /// Throws config_error where dense weights are more than an Index counts.
  GateOutput(Storage storage, Index num_experts, Index max_columns)
      : storage_(storage), num_experts_(num_experts), max_columns_(max_columns) {
    if (storage == Storage::routing) return;
    require_countable("gate output: dense weights", num_experts, max_columns);
    values_.resize(num_experts, max_columns);
  }

  [[nodiscard]] Storage storage() const { return storage_; }
  [[nodiscard]] Index num_experts() const { return num_experts_; }
  [[nodiscard]] Index num_columns() const { return num_columns_; }

  /// Makes room for a pass; a routing loses its entries. Throws shape_error above max_columns.
  void begin(Index columns) {
    require_capacity("gate output", max_columns_, columns);
    num_columns_ = columns;
    routing_.clear();
  }
  /// All zero, in the support of the given weights.
  void zero_like(const GateOutput& weights) {
    begin(weights.num_columns());
    if (storage_ == Storage::dense) {
      dense().setZero();
    } else {
      routing_.zero_like(weights.routing_);
    }
  }

  /// n x columns. Only for Storage::dense.
  [[nodiscard]] auto dense() { return values_.leftCols(num_columns_); }
  [[nodiscard]] auto dense() const { return values_.leftCols(num_columns_); }
  /// Only for Storage::routing.
  [[nodiscard]] Routing<S>& routing() { return routing_; }
  [[nodiscard]] const Routing<S>& routing() const { return routing_; }

  /// One weight: 0 outside the support.
  [[nodiscard]] S weight(Index expert, Index c) const {
    if (storage_ == Storage::dense) return values_(expert, c);
    const auto experts = routing_.experts(c);
    const auto found = std::lower_bound(experts.begin(), experts.end(), expert);
    if (found == experts.end() || *found != expert) return S(0);
    return routing_.weights(c)[static_cast<std::size_t>(found - experts.begin())];
  }
  /// The same, to write to; only in the support.
  [[nodiscard]] S& weight_ref(Index expert, Index c) {
    if (storage_ == Storage::dense) return values_(expert, c);
    const auto experts = routing_.experts(c);
    const auto found = std::lower_bound(experts.begin(), experts.end(), expert);
    return routing_.weights(c)[static_cast<std::size_t>(found - experts.begin())];
  }

  /// At least as many as column c has weights that are not 0.
  [[nodiscard]] Index max_selected(Index c) const {
    return storage_ == Storage::dense ? num_experts_
                                      : static_cast<Index>(routing_.experts(c).size());
  }
  /// body(expert, weight) for the weights of column c that are not 0, experts in ascending order.
  template <class Body>
  void for_each_selected(Index c, const Body& body) const {
    if (storage_ == Storage::dense) {
      const S* w = values_.col(c).data();
      for_each_non_zero(w, num_experts_, [&](Index e) { body(e, w[e]); });
    } else {
      const auto experts = routing_.experts(c);
      const auto weights = routing_.weights(c);
      for (std::size_t i = 0; i < experts.size(); ++i) {
        if (weights[i] != S(0)) body(Index{experts[i]}, weights[i]);
      }
    }
  }

  /// A dense copy of either storage, for people and tests.
  [[nodiscard]] Matrix<S> to_dense() const {
    if (storage_ == Storage::dense) return dense();
    Matrix<S> values = Matrix<S>::Zero(num_experts_, num_columns_);
    for (Index c = 0; c < num_columns_; ++c) {
      for (std::size_t i = 0; i < routing_.experts(c).size(); ++i) {
        values(routing_.experts(c)[i], c) = routing_.weights(c)[i];
      }
    }
    return values;
  }

 private:
  Storage storage_ = Storage::dense;
  Index num_experts_ = 0, max_columns_ = 0, num_columns_ = 0;
  Matrix<S> values_;
  Routing<S> routing_;
};

/// What weights in the support are raised to when they would underflow.
template <class S>
S smallest_weight() {
  if constexpr (std::is_floating_point_v<S>) {
    return (std::numeric_limits<S>::min)();
  } else {
    return S((std::numeric_limits<double>::min)());
  }
}

}  // namespace selgate
