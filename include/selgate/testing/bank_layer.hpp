// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/mixture/expert_bank.hpp>

#include <utility>

namespace selgate::detail {

/// An expert bank as a layer: expert e writes rows e u .. e u + u - 1 of y for the examples that
/// select it, and leaves the others 0. The first expert sees every example, the last one none, and
/// those in between some (or, with `whole`, all).
template <class Bank>
class BankLayer {
 public:
  using Scalar = typename Bank::Scalar;
  using S = Scalar;
  using Gradient = typename Bank::Gradient;
  struct Cache {
    typename Bank::Cache bank;
    Index columns = -1;  // of the last forward
    GateOutput<S> selected;
    Dispatch dispatch;
    ExpertBlocks<S> outputs, doutputs;
  };

  BankLayer(Bank bank, bool whole) : bank_(std::move(bank)), whole_(whole) {}

  [[nodiscard]] Bank& bank() { return bank_; }
  [[nodiscard]] Index in_features() const { return bank_.in_features(); }
  [[nodiscard]] Index out_features() const { return bank_.num_experts() * bank_.out_features(); }
  Cache make_cache(Index max_batch) const {
    return {bank_.make_cache(max_batch),
            -1,
            GateOutput<S>(Storage::dense, bank_.num_experts(), max_batch),
            Dispatch(bank_.num_experts()),
            {},
            {}};
  }
  Gradient make_gradient() const { return bank_.make_gradient(); }

  void forward(const Context& context, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "bank", x, y);
    const Index n = bank_.num_experts(), u = bank_.out_features();
    cache.selected.begin(x.cols());
    for (Index b = 0; b < x.cols(); ++b) {
      for (Index e = 0; e < n; ++e) {
        const bool some = whole_ || (context.example(b) + e) % 3 != 0;
        cache.selected.dense()(e, b) = S(e == 0 || (e < n - 1 && some) ? 1 : 0);
      }
    }
    cache.dispatch.build(cache.selected, 1, x.cols(), false);
    cache.outputs.layout(cache.dispatch, u);
    bank_.forward(context, cache.dispatch, x, cache.outputs, cache.bank);
    cache.columns = x.cols();
    y.setZero();
    for_each_column(cache.dispatch, [&](Index rank, Index j, Index row, Index b) {
      y.block(row, b, u, 1) = cache.outputs.block(cache.dispatch, rank).col(j);
    });
  }
  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    require_backward_shapes(*this, "bank", x, y, dy, dx);
    require_same_batch("bank", cache.columns, x.cols());
    cache.doutputs.layout(cache.dispatch, bank_.out_features());
    for_each_column(cache.dispatch, [&](Index rank, Index j, Index row, Index b) {
      cache.doutputs.block(cache.dispatch, rank).col(j) = dy.block(row, b, bank_.out_features(), 1);
    });
    bank_.backward(context, cache.dispatch, x, cache.outputs, cache.doutputs, dx, gradient,
                   cache.bank);
  }
  auto regularization(const Context& context, const Cache& cache) const {
    return bank_.regularization(context, cache.dispatch, cache.bank);
  }
  [[nodiscard]] Flops flops(Index, const Cache& cache) const {
    return bank_.flops(cache.dispatch, cache.bank);
  }
  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    Bank::visit(f, m.bank_...);
  }

 private:
  /// body(rank, column of its block, row of y, example).
  template <class Body>
  void for_each_column(const Dispatch& dispatch, const Body& body) const {
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      for (Index j = 0; j < dispatch.num_columns(rank); ++j) {
        body(rank, j, dispatch.expert(rank) * bank_.out_features(), dispatch.example(rank, j));
      }
    }
  }

  Bank bank_;
  bool whole_;
};

template <class Make>
struct MakeBankLayer {
  const Make& make;
  bool whole;
  template <class S>
  auto operator()(S scalar, Rng& rng) const {
    return BankLayer(make(scalar, rng), whole);
  }
};

}  // namespace selgate::detail
