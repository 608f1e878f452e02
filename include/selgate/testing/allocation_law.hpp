// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/executor.hpp>
#include <selgate/optim/sgd.hpp>
#include <selgate/testing/layer_probe.hpp>
#include <selgate/testing/report.hpp>

#include <string>
#include <type_traits>

namespace selgate {

/// Checks that a layer of your own allocates nothing once it is warm:
///
///     check_allocation(make, [] { return allocations.load(); });
///
/// make(scalar, rng) as in check_layer. allocations() says how many there have been so far, on any
/// thread; you count them, in a malloc or operator new of your own. After a first training step
/// (forward, backward, optimizer) further ones, of this batch and of a single example, must add
/// none: in float and double, in the caller and on two threads. Eigen packs the blocks of its own
/// products on the stack up to EIGEN_STACK_ALLOCATION_LIMIT bytes (128 KiB unless you define it),
/// and allocates for larger ones in every pass.
template <class Make, class Allocations>
LawReport check_allocation(const Make& make, const Allocations& allocations,
                           const LayerLawOptions& options = {}) {
  static_assert(Layer<std::invoke_result_t<const Make&, double, Rng&>>,
                "make(scalar, rng) must return a Layer, see selgate/core/concepts.hpp");
  LawReport report;
  const detail::LayerProbe<Make> probe(make, options);
  auto check = [&]<class S>(S, const std::string& scalar) {
    auto layer = probe.template layer<S>();
    using L = decltype(layer);
    Sgd<L> optimizer({.learning_rate = 1e-9}, layer);  // buffers fit what a layer selected before
    auto cache = layer.make_cache(options.batch);
    auto gradient = layer.make_gradient();
    const Matrix<S> x = probe.template x<S>(), dy = probe.template dy<S>();
    Matrix<S> y = dy, dx = x;
    Executor two_threads(2);
    auto step = [&](Index columns, Executor* executor) {
      Context context = probe.context();
      context.executor = executor;
      const auto x_part = x.leftCols(columns), dy_part = dy.leftCols(columns);
      layer.forward(context, x_part, y.leftCols(columns), cache);
      set_zero(gradient);
      layer.backward(context, x_part, y.leftCols(columns), dy_part, dx.leftCols(columns), gradient,
                     cache);
      optimizer.step(layer, gradient);
    };
    for (Executor* executor : {static_cast<Executor*>(nullptr), &two_threads}) {
      step(options.batch, executor);
      const auto before = allocations();
      step(options.batch, executor);
      step(1, executor);
      report.add({"no allocation", static_cast<double>(allocations() - before), 0,
                  scalar + (executor == nullptr ? "" : ", two threads")});
    }
  };
  check(double{}, "double");
  check(float{}, "float");
  return report;
}

}  // namespace selgate
