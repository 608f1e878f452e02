// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate_bank.hpp>

#include <utility>

namespace selgate::detail {

/// The weights of a bank of gates as a layer, whose laws are then those of every layer. Row t n + e
/// of y is w_t(e); a static gate gives every example the same, and has one input that nobody reads.
template <class Gates>
class GateLayer {
 public:
  using Scalar = typename Gates::Scalar;
  using S = Scalar;
  using Gradient = typename Gates::Gradient;
  struct Cache {
    typename Gates::Cache gate;
    GateOutput<S> weights, dweights;
  };

  GateLayer(Gates gates, Storage storage) : gates_(std::move(gates)), storage_(storage) {}

  [[nodiscard]] const Gates& gates() const { return gates_; }
  [[nodiscard]] Index in_features() const {
    if constexpr (Gates::is_static) {
      return 1;
    } else {
      return gates_.map().in_features();
    }
  }
  [[nodiscard]] Index out_features() const { return gates_.num_tasks() * gates_.num_experts(); }

  Cache make_cache(Index max_batch) const {
    return {gates_.make_cache(max_batch), gates_.make_output(max_batch, storage_),
            gates_.make_output(max_batch, storage_)};
  }
  Gradient make_gradient() const { return gates_.make_gradient(); }

  void forward(const Context& context, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "gate", x, y);
    gates_.forward(context, x, cache.weights, cache.gate);
    for_each_weight(x.cols(), [&](Index row, Index b, Index e, Index column) {
      y(row, b) = cache.weights.weight(e, column);
    });
  }
  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    require_backward_shapes(*this, "gate", x, y, dy, dx);
    cache.dweights.zero_like(cache.weights);
    const bool fits = cache.weights.num_columns() == gates_.num_columns(x.cols());
    for_each_weight(fits ? x.cols() : 0, [&](Index row, Index b, Index e, Index column) {
      if (cache.weights.weight(e, column) == S(0)) return;
      S& dw = cache.dweights.weight_ref(e, column);
      dw = Gates::is_static && b > 0 ? dw + dy(row, b) : dy(row, b);
    });
    gates_.backward(context, x, cache.weights, cache.dweights, dx, gradient, cache.gate);
  }
  auto regularization(const Context& context, const Cache& cache) const {
    return gates_.regularization(context, cache.gate);
  }
  [[nodiscard]] Flops flops(Index batch, const Cache& cache) const {
    Flops sum = gates_.flops(batch, cache.gate);
    if (Gates::is_static) {
      sum.backward += (cache.weights.to_dense().array() != S(0)).count() * (batch - 1);
    }
    return sum;
  }
  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    Gates::visit(f, m.gates_...);
  }

 private:
  /// body(row of y, example, expert, column of the weights).
  template <class Body>
  void for_each_weight(Index batch, const Body& body) const {
    const Index n = gates_.num_experts(), tasks = gates_.num_tasks();
    for (Index b = 0; b < batch; ++b) {
      for (Index row = 0; row < tasks * n; ++row) {
        body(row, b, row % n, row / n + (Gates::is_static ? 0 : b * tasks));
      }
    }
  }

  Gates gates_;
  Storage storage_;
};

/// make(scalar, rng) as a layer in one storage. One type, so that the laws are compiled once.
template <class Make>
struct MakeGateLayer {
  const Make& make;
  Storage storage;
  template <class S>
  auto operator()(S scalar, Rng& rng) const {
    return GateLayer(make(scalar, rng), storage);
  }
};

}  // namespace selgate::detail
