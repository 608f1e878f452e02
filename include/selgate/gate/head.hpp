// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate_output.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace selgate {

/// Rows of a head's logits that belong together: how they are named in files, and where they start.
struct RowGroup {
  Index first;              // first row
  Shape shape;              // rows of the group, outputs first
  const char* static_name;  // the rows themselves, where they are parameters (StaticMap)
  const char* weight_name;  // weights of a linear map to them
  const char* bias_name;    // and its biases
  double static_range;      // initial laws: U(+-range)
  double weight_range;
  double bias_range;
};
using RowGroups = std::vector<RowGroup>;

/// The mathematics of a gate: from h logits to weights over n experts, column by column. A gate is
/// a logit map and a head (gate/gate_bank.hpp).
///
/// Its cache has a HeadDoor. Laws, checked for any type by selgate/testing.hpp:
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
/// numeric_error with row and column, arguments that do not fit shape_error; a backward pass without
/// its forward pass, or a cache of another head, state_error.
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

template <class H, class S>
void require_logits(const H& head, std::string_view name, const In<S>& logits) {
  require_size(name, "rows of the logits", head.num_logits(), logits.rows());
}

/// Throws for the first value of one logits column that `acceptable` refuses.
template <class S, class Acceptable>
[[noreturn]] void throw_bad_logit(const char* name, const S* z, Index rows, Index column,
                                  const Acceptable& acceptable, const char* expected) {
  for (Index r = 0; r < rows; ++r) {
    if (!acceptable(z[r])) {
      throw numeric_error(
          concat({name, ": logit in row ", to_text(r), ", column ", to_text(column), ": expected ",
                  expected, ", got ", to_text(static_cast<double>(z[r]))}));
    }
  }
  throw numeric_error(concat({name, ": logits of column ", to_text(column),
                              ": expected a finite largest logit, got none"}));
}

/// What softmax needs of its logits: finite, or -inf for a weight of exactly 0.
template <class S>
[[noreturn]] void throw_bad_softmax(const char* name, const S* z, Index rows, Index column) {
  throw_bad_logit(
      name, z, rows, column, [](S value) { return value - value == S(0) || value < S(0); },
      "a finite number or -inf");
}

/// Glorot's range for a linear map of p features to n logits.
inline double glorot_range(Index p, Index n) { return std::sqrt(6.0 / static_cast<double>(p + n)); }

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

/// The checks at a head's door, a member of its cache: for what head and how many columns the cache
/// was made, and what its last forward was. A pass costs a few comparisons.
class HeadDoor {
 public:
  HeadDoor() = default;
  template <class H>
  HeadDoor(const H& head, Index max_columns)
      : num_logits_(head.num_logits()),
        num_experts_(head.num_experts()),
        max_columns_(max_columns) {}

  /// Of the last forward, -1 unless it came to its end; and the storage of its weights.
  [[nodiscard]] Index columns() const { return columns_; }
  [[nodiscard]] Storage storage() const { return storage_; }

  /// Throws state_error for a cache of another head, shape_error for one of fewer columns.
  template <class H>
  void require_room(const H& head, std::string_view name, Index columns) const {
    require_cache(name, "logits", head.num_logits(), num_logits_);
    require_cache(name, "experts", head.num_experts(), num_experts_);
    require_capacity(name, max_columns_, columns);
  }

  /// Checks what forward gets, and begins its weights.
  template <class H, class S>
  void begin_forward(const H& head, std::string_view name, const In<S>& logits,
                     GateOutput<S>& weights) {
    detail::require_logits(head, name, logits);
    require_room(head, name, logits.cols());
    require_size(name, "experts of the weights", num_experts_, weights.num_experts());
    weights.begin(logits.cols());
    storage_ = weights.storage();
    columns_ = -1;
  }
  void end_forward(Index columns) { columns_ = columns; }

  /// Checks what backward gets.
  template <class H, class S>
  void begin_backward(const H& head, std::string_view name, const In<S>& logits,
                      const GateOutput<S>& weights, const GateOutput<S>& dweights,
                      const Out<S>& dlogits) const {
    detail::require_logits(head, name, logits);
    require_room(head, name, logits.cols());
    require_same_batch(name, columns_, logits.cols());
    require_output(name, "weights", weights);
    require_output(name, "dweights", dweights);
    if (storage_ == Storage::routing && !dweights.routing().same_entries(weights.routing())) {
      throw shape_error(
          concat({name, ": entries of dweights: expected those of weights, got others"}));
    }
    require_size(name, "rows of dlogits", num_logits_, dlogits.rows());
    require_size(name, "columns of dlogits", columns_, dlogits.cols());
  }

 private:
  template <class S>
  void require_output(std::string_view name, const char* what, const GateOutput<S>& output) const {
    const bool fits = output.num_experts() == num_experts_ && output.num_columns() == columns_;
    if (fits && output.storage() == storage_) {
      if (storage_ == Storage::dense || output.routing().num_columns() == columns_) return;
    }
    const std::string owner = concat({name, ": ", what});
    require_size(owner, "experts", num_experts_, output.num_experts());
    require_size(owner, "columns", columns_, output.num_columns());
    auto text = [](Storage storage) { return storage == Storage::dense ? "dense" : "routing"; };
    require<shape_error>(output.storage() == storage_, concat({owner, ": storage"}), text(storage_),
                         text(output.storage()));
    require_size(owner, "columns of the routing", columns_, output.routing().num_columns());
  }

  Index num_logits_ = 0, num_experts_ = 0, max_columns_ = 0, columns_ = -1;
  Storage storage_ = Storage::dense;
};

}  // namespace selgate
