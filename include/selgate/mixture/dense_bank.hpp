// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/layer/dropout_mask.hpp>
#include <selgate/math/activation.hpp>
#include <selgate/math/kernel/unit_sums.hpp>
#include <selgate/math/product.hpp>
#include <selgate/math/transpose.hpp>
#include <selgate/mixture/combine.hpp>
#include <selgate/mixture/expert_bank.hpp>
#include <selgate/mixture/expert_rows.hpp>

#include <cmath>

namespace selgate {

struct DenseBankOptions {
  Index in_features = 0;   // p >= 1
  Index out_features = 0;  // u >= 1 of an expert
  Index num_experts = 0;   // n >= 1
  bool bias = true;
  Activation activation = Activation::relu;
  Index units_per_output = 1;  // s >= 1: an output is the sum of s neighbouring units
  double dropout = 0;          // in [0, 1): the share of ReLU units that become 0 in training
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

/// n experts of dense units, h = W_e' x + b_e, with the outputs
///
///   f_e(x)_j = sum over i < s of activation(h)_(j s + i),      s = units_per_output, 1 for most.
///
/// Their weights are stacked, p x (n u s): consecutive active experts are one product, and an
/// expert that nobody selects is a range that nobody reads.
///
/// In training f_e(x) is multiplied by a mask of dropout, see DropoutMask. Nothing is stored of it:
/// a ReLU unit that is not 0 was kept, and one that is 0 has the derivative 0 either way.
///
/// Backward is that of Dense for every active expert. Weights start Glorot-uniform for one expert,
/// U(+-sqrt(6 / (p + u s))), biases at zero.
template <class S>
class DenseBank {
 public:
  using Scalar = S;
  struct Gradient {
    Matrix<S> weight;
    Vector<S> bias;
    Index units;  // of an expert
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
    Index in_features = 0, units = 0;  // of the bank that it was made for
    ExpertBlocks<S> x, dx;             // gathered
    // Of sums of units: what they see, the derivative by them, the same by example for dx.
    ExpertRows<S, kernel::UnitSums<S>::examples> x_rows, dunit_rows;
    ExpertBlocks<S> dunits;
    bool dropped = false;  // whether the last forward did
  };

  /// Throws config_error on a size below 1, more weights than an Index counts, or dropout that is
  /// outside its range or not of ReLU units that are outputs.
  DenseBank(const DenseBankOptions& options, Rng& rng)
      : options_(options),
        mask_("dense bank: dropout", options.dropout, options.dropout == 0 ? 0 : rng.bits64()) {
    require(options.in_features >= 1, "dense bank: in_features", ">= 1", options.in_features);
    require(options.out_features >= 1, "dense bank: out_features", ">= 1", options.out_features);
    require(options.num_experts >= 1, "dense bank: num_experts", ">= 1", options.num_experts);
    require(options.units_per_output >= 1, "dense bank: units_per_output", ">= 1",
            options.units_per_output);
    require_countable("dense bank: units of an expert", options.out_features,
                      options.units_per_output);
    units = options.out_features * options.units_per_output;
    require_countable("dense bank: units of all experts", options.num_experts, units);
    require_countable("dense bank: weight", options.in_features, options.num_experts * units);
    require(options.dropout == 0 || options.activation == Activation::relu, "dense bank: dropout",
            "0 where units are no ReLU", options.dropout);
    require(options.dropout == 0 || options.units_per_output == 1, "dense bank: dropout",
            "0 where outputs are sums of units", options.dropout);
    const double range = std::sqrt(6.0 / static_cast<double>(options.in_features + units));
    weight = uniform<S>(options.in_features, options.num_experts * units, rng, -range, range);
    bias = Vector<S>::Zero(options.bias ? options.num_experts * units : 0);
  }

  [[nodiscard]] const DenseBankOptions& options() const { return options_; }
  [[nodiscard]] Index num_experts() const { return options_.num_experts; }
  [[nodiscard]] Index in_features() const { return options_.in_features; }
  [[nodiscard]] Index out_features() const { return options_.out_features; }
  auto expert(Index e) { return view_of<S>(*this, e); }
  auto expert(Index e) const { return view_of<const S>(*this, e); }

  Cache make_cache(Index) const {
    Cache cache;
    cache.in_features = in_features();
    cache.units = units;
    return cache;
  }
  Gradient make_gradient() const {
    return {Matrix<S>::Zero(weight.rows(), weight.cols()), Vector<S>::Zero(bias.size()), units,
            IndexSet(num_experts())};
  }

  void forward(const Context& context, const Dispatch& dispatch, const In<S>& x,
               ExpertBlocks<S>& outputs, Cache& cache) const {
    require_own(cache);
    if (!dispatch.whole()) cache.x.layout(dispatch, in_features());
    if (sums()) {
      cache.x_rows.layout(dispatch, dispatch.whole() ? 1 : dispatch.num_active(), in_features());
      if (dispatch.num_active() > 0 && dispatch.whole()) transpose<S>(x, seen(dispatch, 0, cache));
    }
    cache.dropped = mask_.drops(context);
    for_each_run(context, dispatch, [&](Index rank, Index count) {
      const Index first = dispatch.expert(rank) * units, size = count * units;
      const auto b = bias.segment(options_.bias ? first : 0, options_.bias ? size : 0);
      gather<S>(dispatch, rank, x, cache.x);
      with_seen<S>(dispatch, rank, x, cache.x, [&](const In<S>& x_e) {
        View<S> y = outputs.run(dispatch, rank, count);
        if (sums()) {
          if (!dispatch.whole()) transpose<S>(x_e, seen(dispatch, rank, cache));
          unit_sums(dispatch, rank, count, cache).forward(y);
          return;
        }
        forward_product<S>(weight.middleCols(first, size), b, x_e, y);
        for (Index j = 0; j < y.cols(); ++j) {
          activate<S>(options_.activation, y.col(j));
          if (!cache.dropped) continue;
          // A unit is called by its place among those of all experts.
          mask_.for_each_block(
              context, dispatch.example(rank, j), first, size,
              [&](Index i, const auto& mask) { y.col(j).segment(i, mask.size()).array() *= mask; });
        }
      });
    });
  }

  void backward(const Context& context, const Dispatch& dispatch, const In<S>& x,
                ExpertBlocks<S>& outputs, ExpertBlocks<S>& doutputs, Out<S> dx, Gradient& gradient,
                Cache& cache) const {
    require_own(cache);
    require_gradient("dense bank: weight", weight, gradient.weight);
    require_gradient("dense bank: bias", bias, gradient.bias);
    require_size("dense bank", "experts of the gradient", num_experts(), gradient.num_experts());
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      gradient.touched.insert(dispatch.expert(rank));
    }
    const bool gathers = !dispatch.whole();
    if (gathers && wanted(dx)) cache.dx.layout(dispatch, in_features());
    if (sums()) {
      cache.dunit_rows.layout(dispatch, dispatch.num_active(), units);
      if (wanted(dx)) cache.dunits.layout(dispatch, units);
    }
    ExpertBlocks<S>& dhidden = sums() ? cache.dunits : doutputs;
    for_each_run(context, dispatch, [&](Index rank, Index count) {
      const Index first = dispatch.expert(rank) * units, size = count * units;
      View<S> y = outputs.run(dispatch, rank, count), dy = doutputs.run(dispatch, rank, count);
      auto dweight = gradient.weight.middleCols(first, size);
      auto dbias = gradient.bias.segment(options_.bias ? first : 0, options_.bias ? size : 0);
      if (sums()) {
        View<S> dh = cache.dunit_rows.run(dispatch, rank, count);
        unit_sums(dispatch, rank, count, cache).backward(dy, dh.data());
        for (Index r = 0; r < dbias.size(); ++r) dbias[r] += dh.col(r).sum();
        weight_gradient_product_of_rows<S>(seen(dispatch, rank, cache), dh, dweight);
        if (wanted(dx)) transpose<S>(dh, dhidden.run(dispatch, rank, count));
      } else {
        for (Index j = 0; j < dy.cols(); ++j) {  // a column at a time: it stays in the first cache
          auto dy_j = dy.col(j);
          if (cache.dropped) dy_j *= mask_.kept();
          activation_gradient<S>(options_.activation, y.col(j), dy_j, dy_j);
          if (options_.bias) dbias += dy_j;
        }
        with_seen<S>(dispatch, rank, x, cache.x,
                     [&](const In<S>& x_e) { weight_gradient_product<S>(x_e, dy, dweight); });
      }
      if (gathers && wanted(dx)) {
        auto dx_e = cache.dx.block(dispatch, rank);
        dx_e.setZero();
        input_gradient_product<S>(weight.middleCols(first, size),
                                  dhidden.run(dispatch, rank, count), dx_e);
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
          const auto dpre = dhidden.run(dispatch, rank, count);
          input_gradient_product<S>(weight.middleCols(dispatch.expert(rank) * units, count * units),
                                    dpre.middleCols(begin, end - begin),
                                    dx.middleCols(begin, end - begin));
        });
      });
    }
  }

  double regularization(const Context&, const Dispatch&, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(const Dispatch& dispatch, const Cache& cache) const {
    const std::int64_t columns = dispatch.first(dispatch.num_active());
    const std::int64_t product = 2 * in_features() * units * columns;
    const std::int64_t biases = options_.bias ? units * columns : 0;
    const std::int64_t masked = cache.dropped ? units * columns : 0;
    const std::int64_t scattered = dispatch.whole() ? 0 : in_features() * columns;
    return {.forward = product + masked + (sums() ? units * columns : 0),  // sums start at the bias
            .backward = product + biases + masked + (sums() ? product : 0),
            .input_gradient = product + scattered};
  }

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    for_each_block(
        f, first, first.num_experts(),
        [&](Index e) { f("", e, first.expert(e), rest.expert(e)...); },
        [&] { visit_stack(f, first, rest...); });
  }

  Matrix<S> weight;  // p x (n u s)
  Vector<S> bias;    // n u s, or empty

 private:
  void require_own(const Cache& cache) const {
    require_cache("dense bank", "in_features", in_features(), cache.in_features);
    require_cache("dense bank", "units of an expert", units, cache.units);
  }
  template <class F, class... M>
  static void visit_stack(const F& f, M&... m) {
    f("weight", no_index, leaf(m.weight, {m.num_experts(), m.units, m.weight.rows()})...);
    if (((m.bias.size() != 0) && ...)) {
      f("bias", no_index, leaf(m.bias, {m.num_experts(), m.units})...);
    }
  }
  template <class T, class M>
  static DenseView<T> view_of(M& m, Index e) {
    T* bias = m.bias.size() == 0 ? nullptr : m.bias.data() + e * m.units;
    return {m.weight.data() + e * m.units * m.weight.rows(), bias, m.weight.rows(), m.units};
  }

  using Sums = kernel::UnitSums<S>;
  [[nodiscard]] bool sums() const { return options_.units_per_output > 1; }
  /// What an expert sees, by feature.
  View<S> seen(const Dispatch& dispatch, Index rank, Cache& cache) const {
    return cache.x_rows.run(dispatch, dispatch.whole() ? 0 : rank, 1);
  }
  Sums unit_sums(const Dispatch& dispatch, Index rank, Index count, Cache& cache) const {
    const Index first = dispatch.expert(rank) * units;
    const auto x = seen(dispatch, rank, cache);
    return {.w = {weight.col(first).data(), weight.rows(), count * units,
                  Eigen::OuterStride<>(weight.rows())},
            .bias = options_.bias ? bias.data() + first : nullptr,
            .activation = options_.activation,
            .s = options_.units_per_output,
            .x = x.data(),
            .stride = x.outerStride()};
  }

  /// body(rank, count) for runs of consecutive experts, cut by shape alone: up to 256 units (or,
  /// for their sums, as many as stay in the first cache) where all see everything, else one expert.
  template <class Body>
  void for_each_run(const Context& context, const Dispatch& dispatch, const Body& body) const {
    const Index most = dispatch.whole() ? std::max<Index>(1, (sums() ? 32 : 256) / units) : 1;
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
  DropoutMask<S> mask_;
};

}  // namespace selgate
