// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/activation.hpp>
#include <selgate/math/product.hpp>
#include <selgate/mixture/combine.hpp>
#include <selgate/mixture/expert_bank.hpp>

#include <cmath>

namespace selgate {

struct DenseBankOptions {
  Index in_features = 0;   // p >= 1
  Index out_features = 0;  // u >= 1 units an expert
  Index num_experts = 0;   // n >= 1
  bool bias = true;
  Activation activation = Activation::relu;
};

/// One dense expert seen inside the stack; S may be const.
template <class S>
struct DenseView {
  S* weight;
  S* bias;  // nullptr for none
  Index in_features, out_features;

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("weight", no_index, view_of(m.weight, {m.out_features, m.in_features})...);
    if (((m.bias != nullptr) && ...)) f("bias", no_index, view_of(m.bias, {m.out_features})...);
  }

 private:
  template <class T>
  static Leaf<T> view_of(T* data, const Shape& shape) {
    return {data, shape};
  }
};

/// n experts f_e(x) = activation(W_e' x + b_e) whose weights are stacked, p x (n u): consecutive
/// active experts are one product, and an expert that nobody selects is a range that nobody reads.
///
/// Backward is that of Dense for every active expert. Weights start Glorot-uniform for one expert,
/// U(+-sqrt(6 / (p + u))), biases at zero.
template <class S>
class DenseBank {
 public:
  using Scalar = S;
  struct Gradient {
    Matrix<S> weight;
    Vector<S> bias;
    Index units;
    IndexSet touched;
    [[nodiscard]] Index num_experts() const { return weight.cols() / units; }
    auto expert(Index e) { return view_of<S>(*this, e); }
    auto expert(Index e) const { return view_of<const S>(*this, e); }
    template <class F, class... M>
    static void visit(F&& f, M&... m) {
      DenseBank::visit(f, m...);
    }
  };
  struct Cache {
    ExpertBlocks<S> x, dx;  // gathered
  };

  /// Throws config_error on a size below 1, or more weights than an Index counts.
  DenseBank(const DenseBankOptions& options, Rng& rng)
      : options_(options), units(options.out_features) {
    require(options.in_features >= 1, "dense bank: in_features", ">= 1", options.in_features);
    require(options.out_features >= 1, "dense bank: out_features", ">= 1", options.out_features);
    require(options.num_experts >= 1, "dense bank: num_experts", ">= 1", options.num_experts);
    require_countable("dense bank: units of all experts", options.num_experts, units);
    require_countable("dense bank: weight", options.in_features, options.num_experts * units);
    const double range =
        std::sqrt(6.0 / static_cast<double>(options.in_features + options.out_features));
    weight = uniform<S>(options.in_features, options.num_experts * units, rng, -range, range);
    bias = Vector<S>::Zero(options.bias ? options.num_experts * units : 0);
  }

  [[nodiscard]] const DenseBankOptions& options() const { return options_; }
  [[nodiscard]] Index num_experts() const { return options_.num_experts; }
  [[nodiscard]] Index in_features() const { return options_.in_features; }
  [[nodiscard]] Index out_features() const { return options_.out_features; }
  auto expert(Index e) { return view_of<S>(*this, e); }
  auto expert(Index e) const { return view_of<const S>(*this, e); }

  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const {
    return {Matrix<S>::Zero(weight.rows(), weight.cols()), Vector<S>::Zero(bias.size()), units,
            IndexSet(num_experts())};
  }

  void forward(const Context& context, const Dispatch& dispatch, const In<S>& x,
               ExpertBlocks<S>& outputs, Cache& cache) const {
    if (!dispatch.whole()) cache.x.layout(dispatch, in_features());
    for_each_run(context, dispatch, [&](Index rank, Index count) {
      const Index first = dispatch.expert(rank) * units, size = count * units;
      const auto b = bias.segment(options_.bias ? first : 0, options_.bias ? size : 0);
      gather<S>(dispatch, rank, x, cache.x);
      with_seen<S>(dispatch, rank, x, cache.x, [&](const In<S>& x_e) {
        View<S> y = outputs.run(dispatch, rank, count);
        forward_product<S>(weight.middleCols(first, size), b, x_e, y);
        activate(options_.activation, y);
      });
    });
  }

  void backward(const Context& context, const Dispatch& dispatch, const In<S>& x,
                ExpertBlocks<S>& outputs, ExpertBlocks<S>& doutputs, Out<S> dx, Gradient& gradient,
                Cache& cache) const {
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      gradient.touched.insert(dispatch.expert(rank));
    }
    const bool gathers = !dispatch.whole();
    if (gathers && wanted(dx)) cache.dx.layout(dispatch, in_features());
    for_each_run(context, dispatch, [&](Index rank, Index count) {
      const Index first = dispatch.expert(rank) * units, size = count * units;
      View<S> y = outputs.run(dispatch, rank, count), dpre = doutputs.run(dispatch, rank, count);
      activation_gradient(options_.activation, y, dpre, dpre);
      with_seen<S>(dispatch, rank, x, cache.x, [&](const In<S>& x_e) {
        weight_gradient_product<S>(x_e, dpre, gradient.weight.middleCols(first, size));
      });
      if (options_.bias) {
        for (Index j = 0; j < dpre.cols(); ++j) gradient.bias.segment(first, size) += dpre.col(j);
      }
      if (gathers && wanted(dx)) {
        auto dx_e = cache.dx.block(dispatch, rank);
        dx_e.setZero();
        input_gradient_product<S>(weight.middleCols(first, size), dpre, dx_e);
      }
    });
    if (!wanted(dx)) return;
    if (gathers) {
      for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
        scatter_add<S>(dispatch, rank, cache.dx.block(dispatch, rank), dx);
      }
    } else {
      detail::for_column_blocks(context.executor, dx.cols(), [&](Index begin, Index end) {
        for_each_run(Context{}, dispatch, [&](Index rank, Index count) {
          const auto dpre = doutputs.run(dispatch, rank, count);
          input_gradient_product<S>(weight.middleCols(dispatch.expert(rank) * units, count * units),
                                    dpre.middleCols(begin, end - begin),
                                    dx.middleCols(begin, end - begin));
        });
      });
    }
  }

  double regularization(const Context&, const Dispatch&, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(const Dispatch& dispatch, const Cache&) const {
    const std::int64_t columns = dispatch.first(dispatch.num_active());
    const std::int64_t product = 2 * in_features() * units * columns;
    const std::int64_t biases = options_.bias ? units * columns : 0;
    const std::int64_t scattered = dispatch.whole() ? 0 : in_features() * columns;
    return {.forward = product,  // sums start at the bias
            .backward = product + biases,
            .input_gradient = product + scattered};
  }

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    for_each_block(f, first, first.num_experts(),
                   [&](Index e) { f("", e, first.expert(e), rest.expert(e)...); });
  }

  Matrix<S> weight;  // p x (n u)
  Vector<S> bias;    // n u, or empty

 private:
  template <class T, class M>
  static DenseView<T> view_of(M& m, Index e) {
    T* bias = m.bias.size() == 0 ? nullptr : m.bias.data() + e * m.units;
    return {m.weight.data() + e * m.units * m.weight.rows(), bias, m.weight.rows(), m.units};
  }

  /// body(rank, count) for runs of consecutive experts, cut by shape alone: up to 256 rows where
  /// all see everything, else one expert.
  template <class Body>
  void for_each_run(const Context& context, const Dispatch& dispatch, const Body& body) const {
    const Index most = dispatch.whole() ? std::max<Index>(1, 256 / units) : 1;
    const Index num_active = dispatch.num_active();
    auto end_of = [&](Index rank) {
      Index end = rank + 1;
      while (end < num_active && end - rank < most &&
             dispatch.expert(end) == dispatch.expert(end - 1) + 1) {
        ++end;
      }
      return end;
    };
    if (context.executor == nullptr) {
      for (Index rank = 0; rank < num_active; rank = end_of(rank)) body(rank, end_of(rank) - rank);
      return;
    }
    Index num_runs = 0;
    for (Index rank = 0; rank < num_active; rank = end_of(rank)) ++num_runs;
    context.executor->run(num_runs, [&](Index run) {
      Index rank = 0;
      for (Index i = 0; i < run; ++i) rank = end_of(rank);
      body(rank, end_of(rank) - rank);
    });
  }

  DenseBankOptions options_;
  Index units;
};

}  // namespace selgate
