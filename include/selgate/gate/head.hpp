// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate_output.hpp>

#include <string>
#include <vector>

namespace selgate {

/// Rows of a head's logits that belong together: how they are named in files, and where they start.
struct RowGroup {
  Index first;               // first row
  Shape shape;               // rows of the group, outputs first
  const char* static_name;   // the rows themselves, where they are parameters (StaticMap)
  const char* weight_name;   // weights of a linear map to them
  const char* bias_name;     // and its biases
  double static_range;       // initial laws: U(+-range)
  double weight_range;
  double bias_range;
};
using RowGroups = std::vector<RowGroup>;

/// The mathematics of a gate: from h logits to weights over n experts, column by column. A gate is
/// a logit map and a head (gate/gate_bank.hpp).
///
/// Laws, checked for any type by selgate/testing.hpp:
///   forward   sets weights: >= 0, non-zero in the support alone; a column sums to 1 where
///             sums_to_one(), else to the expected mass <= 1. Dense and routing agree.
///   backward  ADDS to dlogits the derivative of sum(dweights .* weights) + scale * regularization,
///             regularization only in training. dweights are 0 outside the support.
///   regularization  scale times the SUM over the columns of the last forward: the caller says what
///             a column weighs (Context::example_weight, or 1 for a static gate).
///   flops     of forward and backward, without the regularizers.
/// What its setters move it names in visit_state (core/visit.hpp). It may say `has_few_logits`: its
/// linear map then adds in a fixed order, whatever their number. Logits of which it can make no
/// weights (NaN, +inf in a softmax; but -inf there is a weight of 0, and a bit takes both) throw
/// numeric_error with row and column, a backward pass without its forward pass state_error.
template <class H>
concept Head = Module<H> &&
    requires(const H& head, const Context& context, In<typename H::Scalar> in,
             Out<typename H::Scalar> out, GateOutput<typename H::Scalar>& weights,
             const GateOutput<typename H::Scalar>& dweights, double scale, typename H::Cache& cache,
             typename H::Gradient& gradient) {
  { head.num_experts() } -> std::convertible_to<Index>;
  { head.num_logits() } -> std::convertible_to<Index>;
  { head.row_groups() } -> std::same_as<RowGroups>;
  { head.sums_to_one() } -> std::same_as<bool>;
  head.forward(context, in, weights, cache);
  head.backward(context, in, dweights, dweights, scale, out, gradient, cache);
  {
    head.regularization(context, scale, std::as_const(cache))
  } -> std::convertible_to<accumulate_t<typename H::Scalar>>;
  { head.flops(Index{}, std::as_const(cache)) } -> std::same_as<Flops>;
};

namespace detail {

/// The checks at a head's door.
template <class H, class S>
void require_logits(const H& head, const char* name, const In<S>& logits) {
  require_size(name, "rows of the logits", head.num_logits(), logits.rows());
}

/// The same for backward; forward_columns is what the cache says of the last forward.
template <class H, class S>
void require_backward(const H& head, const char* name, const In<S>& logits, Index forward_columns) {
  require_logits(head, name, logits);
  require_same_batch(name, forward_columns, logits.cols());
}

/// Throws for the first value of one logits column that `acceptable` refuses.
template <class S, class Acceptable>
[[noreturn]] void throw_bad_logit(const char* name, const S* z, Index rows, Index column,
                                  const Acceptable& acceptable, const char* expected) {
  for (Index r = 0; r < rows; ++r) {
    if (!acceptable(z[r])) {
      throw numeric_error(std::string(name) + ": logit in row " + to_text(r) + ", column " +
                          to_text(column) + ": expected " + expected + ", got " +
                          to_text(static_cast<double>(z[r])));
    }
  }
  throw numeric_error(std::string(name) + ": logits of column " + to_text(column) +
                      ": expected a finite largest logit, got none");
}

/// What softmax needs of its logits: finite, or -inf for a weight of exactly 0.
template <class S>
[[noreturn]] void throw_bad_softmax(const char* name, const S* z, Index rows, Index column) {
  throw_bad_logit(
      name, z, rows, column, [](S value) { return value - value == S(0) || value < S(0); },
      "a finite number or -inf");
}

/// Glorot's range for a linear map of p features to n logits.
inline double glorot_range(Index p, Index n) {
  return std::sqrt(6.0 / static_cast<double>(p + n));
}

/// The checks that every head's options share.
inline void require_experts(const std::string& name, Index num_experts, Index k) {
  require(num_experts >= 1, name + ": num_experts", ">= 1", num_experts);
  require(num_experts <= (Index{1} << 31) - 1, name + ": num_experts", "<= 2147483647",
          num_experts);
  require(k >= 1 && k <= num_experts, name + ": k", "1.." + to_text(num_experts) + " (num_experts)",
          k);
}
inline void require_not_negative(const std::string& what, double value) {
  require(value >= 0 && value - value == 0, what, "a finite number >= 0", value);
}
/// `representable`: still > 0 in the scalar type of the head.
inline void require_positive(const std::string& what, double value, bool representable = true) {
  require(value > 0 && value - value == 0 && representable, what,
          "a finite number > 0 in the gate's scalar type", value);
}

}  // namespace detail

}  // namespace selgate
