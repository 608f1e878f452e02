// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate_bank.hpp>
#include <selgate/mixture/combine.hpp>
#include <selgate/mixture/expert_bank.hpp>

namespace selgate {

/// Multi-gate mixture of experts (Ma et al., 2018; Hazimeh et al., 2021, section 2): T gates over n
/// shared experts, one representation a task,
///
///   y_t = sum over e of w_t(x)_e f_e(x),      rows t u .. t u + u - 1 of y.
///
/// An expert runs once per example for the union of the tasks, and not at all where every weight is
/// exactly 0: forward, backward, zeroing, optimizer step and FLOP count all skip it, and no
/// gradient changes by that: where a weight is exactly 0, so is the gate's derivative by it (for
/// top-k it is that of the branch taken).
///
/// With one task it is the plain mixture of equation (1). It is itself a Layer, so it nests: a
/// layer of a Sequential, an expert of another mixture, or a learner alone.
template <ExpertBank Bank, class Gates>
class MultiGateMixture {
 public:
  using Scalar = typename Bank::Scalar;
  using S = Scalar;
  struct Gradient {
    typename Bank::Gradient experts;
    typename Gates::Gradient gates;
    template <class F, class... M>
    static void visit(F&& f, M&... m) {
      MultiGateMixture::visit(f, m...);
    }
  };
  struct Cache {
    Index columns = -1;  // of the last forward
    typename Bank::Cache bank;
    typename Gates::Cache gate;
    GateOutput<S> weights, dweights;  // n x (T B), or n x T of static gates
    Dispatch dispatch;
    Terms<S> terms;
    ExpertBlocks<S> outputs, doutputs;
  };

  /// Throws shape_error unless experts and gates agree on n and on the features.
  MultiGateMixture(Bank bank, Gates gate_bank, Storage storage = Storage::dense)
      : experts(std::move(bank)), gates(std::move(gate_bank)), storage_(storage) {
    require_size("mixture: experts of the gates", experts.num_experts(), gates.num_experts());
    if constexpr (!Gates::is_static) {
      require_size("mixture: in_features of the gates", experts.in_features(),
                   gates.map().in_features());
    }
  }

  [[nodiscard]] Index num_tasks() const { return gates.num_tasks(); }
  [[nodiscard]] Index num_experts() const { return experts.num_experts(); }
  [[nodiscard]] Index in_features() const { return experts.in_features(); }
  [[nodiscard]] Index out_features() const { return num_tasks() * task_features(); }
  /// Features of one task's representation, and the row of y where it starts.
  [[nodiscard]] Index task_features() const { return experts.out_features(); }
  [[nodiscard]] Index task_row(Index t) const { return t * task_features(); }

  Cache make_cache(Index max_batch) const {
    return {.bank = experts.make_cache(max_batch),
            .gate = gates.make_cache(max_batch),
            .weights = gates.make_output(max_batch, storage_),
            .dweights = gates.make_output(max_batch, storage_),
            .dispatch = Dispatch(num_experts()),
            .terms = {},
            .outputs = {},
            .doutputs = {}};
  }
  Gradient make_gradient() const { return {experts.make_gradient(), gates.make_gradient()}; }

  void forward(const Context& context, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "mixture", x, y);
    forward(context, x, rows_of_tasks(y, task_features()), cache);
  }
  /// The same, with the representations wherever they shall lie.
  void forward(const Context& context, const In<S>& x, const TaskVectors<S>& y,
               Cache& cache) const {
    require_task_shapes(x, y);
    cache.columns = -1;  // until the last expert is done
    gates.forward(context, x, cache.weights, cache.gate);
    cache.dispatch.build(cache.weights, num_tasks(), x.cols(), Gates::is_static);
    cache.outputs.layout(cache.dispatch, task_features());
    experts.forward(context, cache.dispatch, x, cache.outputs, cache.bank);
    cache.terms.build(task_weights(cache), cache.dispatch);
    combine<S>(context, cache.terms, cache.outputs, y);
    cache.columns = x.cols();
  }

  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    require_backward_shapes(*this, "mixture", x, y, dy, dx);
    backward(context, x, rows_of_tasks(dy, task_features()), dx, gradient, cache);
  }
  void backward(const Context& context, const In<S>& x, const TaskVectors<const S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    require_task_shapes(x, dy);
    require_same_batch("mixture", cache.columns, x.cols());
    require_cache("mixture", "experts", num_experts(), cache.weights.num_experts());
    require_cache("mixture", "columns", gates.num_columns(x.cols()), cache.weights.num_columns());
    require_cache("mixture", "task_features", task_features(), cache.outputs.rows());
    cache.doutputs.layout(cache.dispatch, task_features());
    cache.dweights.zero_like(cache.weights);
    combine_backward<S>(context, cache.terms, cache.outputs, dy, cache.doutputs, cache.dweights);
    experts.backward(context, cache.dispatch, x, cache.outputs, cache.doutputs, dx,
                     gradient.experts, cache.bank);
    gates.backward(context, x, cache.weights, cache.dweights, dx, gradient.gates, cache.gate);
  }

  accumulate_t<S> regularization(const Context& context, const Cache& cache) const {
    return gates.regularization(context, cache.gate) +
           experts.regularization(context, cache.dispatch, cache.bank);
  }

  /// What ran in the last forward, and what its backward runs (regularizers not counted); as with
  /// one lane: packs also add up their lanes, and a product of many small experts has no blocks.
  [[nodiscard]] Flops flops(Index batch, const Cache& cache) const {
    const std::int64_t terms = cache.terms.size();
    const std::int64_t units = terms * (Gates::is_static ? batch : 1) * task_features();
    const std::int64_t sums = Gates::is_static ? detail::num_column_blocks(batch) - 1 : 0;
    return gates.flops(batch, cache.gate) + experts.flops(cache.dispatch, cache.bank) +
           Flops{.forward = 2 * units, .backward = 4 * units + sums * terms};
  }

  /// The weights of the last forward as the combination read them.
  [[nodiscard]] TaskWeights<S> task_weights(const Cache& cache) const {
    return {cache.weights, num_tasks(), Gates::is_static};
  }

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("experts", no_index, m.experts...);
    f("gates", no_index, m.gates...);
  }

  Bank experts;
  Gates gates;

 private:
  template <class T>
  void require_task_shapes(const In<S>& x, const TaskVectors<T>& y) const {
    require_size("mixture", "rows of x (in_features)", in_features(), x.rows());
    require_size("mixture", "tasks of y", num_tasks(), y.num_tasks);
    require_size("mixture", "examples of y", x.cols(), y.batch);
  }

  Storage storage_;
};

}  // namespace selgate
