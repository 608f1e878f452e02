// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/mixture/expert_bank.hpp>

#include <utility>
#include <vector>

namespace selgate {

/// Experts that are any layer, each with its own parameters; an expert that sees only some examples
/// gets them gathered. With an executor the experts run side by side.
template <Layer E>
class ListBank {
 public:
  using Scalar = typename E::Scalar;
  using S = Scalar;
  struct Gradient {
    std::vector<typename E::Gradient> experts;
    IndexSet touched;
    auto& expert(Index e) { return experts[static_cast<std::size_t>(e)]; }
    auto& expert(Index e) const { return experts[static_cast<std::size_t>(e)]; }
    [[nodiscard]] Index num_experts() const { return static_cast<Index>(experts.size()); }
    template <class F, class... M>
    static void visit(F&& f, M&... m) {
      ListBank::visit(f, m...);
    }
  };
  struct Cache {
    std::vector<typename E::Cache> experts;
    ExpertBlocks<S> x, dx;  // gathered
    /// Of each expert, where the batch is a selection itself.
    std::vector<std::vector<Index>> examples;
  };

  /// Throws config_error for an empty list, shape_error naming the expert for sizes that differ.
  explicit ListBank(std::vector<E> experts) : experts_(std::move(experts)) {
    require(!experts_.empty(), "list bank: experts", ">= 1", Index{0});
    for (std::size_t e = 1; e < experts_.size(); ++e) {
      const std::string name = "list bank: expert " + to_text(e);
      require_size(name + ": in_features", experts_[0].in_features(), experts_[e].in_features());
      require_size(name + ": out_features", experts_[0].out_features(), experts_[e].out_features());
    }
  }
  /// num_experts of make(), which should draw from one Rng so that no two are equal.
  template <class Make>
  ListBank(Index num_experts, const Make& make) : ListBank(make_list(num_experts, make)) {}

  [[nodiscard]] Index num_experts() const { return static_cast<Index>(experts_.size()); }
  [[nodiscard]] Index in_features() const { return experts_[0].in_features(); }
  [[nodiscard]] Index out_features() const { return experts_[0].out_features(); }
  E& expert(Index e) { return experts_[static_cast<std::size_t>(e)]; }
  const E& expert(Index e) const { return experts_[static_cast<std::size_t>(e)]; }

  Cache make_cache(Index max_batch) const {
    Cache cache;
    for (const E& expert : experts_) cache.experts.push_back(expert.make_cache(max_batch));
    cache.examples.resize(experts_.size());
    return cache;
  }
  Gradient make_gradient() const {
    Gradient gradient{{}, IndexSet(num_experts())};
    for (const E& expert : experts_) gradient.experts.push_back(expert.make_gradient());
    return gradient;
  }

  void forward(const Context& context, const Dispatch& dispatch, const In<S>& x,
               ExpertBlocks<S>& outputs, Cache& cache) const {
    require_cache("list bank", "experts", num_experts(), static_cast<Index>(cache.experts.size()));
    if (!dispatch.whole()) cache.x.layout(dispatch, in_features());
    run_blocks(context.executor, dispatch.num_active(), [&](Index rank) {
      const Index e = dispatch.expert(rank);
      const Context inner = context_of(context, dispatch, rank, cache);
      gather<S>(dispatch, rank, x, cache.x);
      with_seen<S>(dispatch, rank, x, cache.x, [&](const In<S>& x_e) {
        expert(e).forward(inner, x_e, outputs.block(dispatch, rank),
                          cache.experts[static_cast<std::size_t>(e)]);
      });
    });
  }

  void backward(const Context& context, const Dispatch& dispatch, const In<S>& x,
                ExpertBlocks<S>& outputs, ExpertBlocks<S>& doutputs, Out<S> dx, Gradient& gradient,
                Cache& cache) const {
    require_cache("list bank", "experts", num_experts(), static_cast<Index>(cache.experts.size()));
    require_size("list bank", "experts of the gradient", num_experts(), gradient.num_experts());
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      gradient.touched.insert(dispatch.expert(rank));
    }
    if (wanted(dx)) cache.dx.layout(dispatch, in_features());
    run_blocks(context.executor, dispatch.num_active(), [&](Index rank) {
      const Index e = dispatch.expert(rank);
      const Context inner = context_of(context, dispatch, rank, cache);
      with_seen<S>(dispatch, rank, x, cache.x, [&](const In<S>& x_e) {
        auto run = [&](Out<S> dx_e) {
          expert(e).backward(inner, x_e, outputs.block(dispatch, rank),
                             doutputs.block(dispatch, rank), dx_e, gradient.expert(e),
                             cache.experts[static_cast<std::size_t>(e)]);
        };
        if (!wanted(dx)) {
          run(not_wanted<S>());
          return;
        }
        auto dx_e = cache.dx.block(dispatch, rank);
        dx_e.setZero();
        run(dx_e);
      });
    });
    if (!wanted(dx)) return;
    for (Index rank = 0; rank < dispatch.num_active();
         ++rank) {  // in order: same bits on any threads
      scatter_add<S>(dispatch, rank, cache.dx.block(dispatch, rank), dx);
    }
  }

  accumulate_t<S> regularization(const Context& context, const Dispatch& dispatch,
                                 const Cache& cache) const {
    accumulate_t<S> sum(0);
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      const Index e = dispatch.expert(rank);
      sum += expert(e).regularization(context, cache.experts[static_cast<std::size_t>(e)]);
    }
    return sum;
  }

  [[nodiscard]] Flops flops(const Dispatch& dispatch, const Cache& cache) const {
    Flops sum;
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      const Index e = dispatch.expert(rank);
      sum +=
          expert(e).flops(dispatch.num_columns(rank), cache.experts[static_cast<std::size_t>(e)]);
      sum.input_gradient += in_features() * dispatch.num_columns(rank);  // scatter_add
    }
    return sum;
  }

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    for_each_block(f, first, first.num_experts(),
                   [&](Index e) { f("", e, first.expert(e), rest.expert(e)...); });
  }

 private:
  template <class Make>
  static std::vector<E> make_list(Index num_experts, const Make& make) {
    std::vector<E> experts;
    for (Index e = 0; e < num_experts; ++e) experts.push_back(make());
    return experts;
  }

  /// What an expert's passes are told: who its columns are. It runs in one thread.
  static Context context_of(const Context& context, const Dispatch& dispatch, Index rank,
                            Cache& cache) {
    Context inner = context;
    inner.executor = nullptr;
    if (dispatch.sees_all(rank)) return inner;
    inner.examples = dispatch.columns(rank);
    if (!context.examples.empty()) {
      auto& examples = cache.examples[static_cast<std::size_t>(dispatch.expert(rank))];
      examples.assign(inner.examples.begin(), inner.examples.end());
      for (Index& example : examples) example = context.example(example);
      inner.examples = examples;
    }
    return inner;
  }

  std::vector<E> experts_;
};
template <class Make>
ListBank(Index, const Make&) -> ListBank<std::invoke_result_t<const Make&>>;

}  // namespace selgate
