// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/head.hpp>
#include <selgate/testing/layer_probe.hpp>
#include <selgate/testing/report.hpp>

#include <concepts>
#include <limits>
#include <string>

namespace selgate::detail {

/// Whether run() throws an E whose text contains `text`.
template <class E, class Run>
bool throws(const std::string& text, const Run& run) {
  try {
    run();
  } catch (const E& error) {
    return std::string(error.what()).find(text) != std::string::npos;
  }
  return false;
}

/// A pass with a cache that does not fit it is refused, or is right: it needed nothing of the
/// cache.
template <class Make>
void check_layer_state(const LayerProbe<Make>& probe, LawReport& report) {
  using S = double;
  using Cache = typename LayerProbe<Make>::template LayerOf<S>::Cache;
  const auto layer = probe.template layer<S>();
  const Matrix<S> x = probe.template x<S>(), dy = probe.template dy<S>();
  const Index batch = x.cols();
  auto cache = layer.make_cache(batch);
  auto unused = cache;
  const LayerPass<S> plain = probe.pass(layer, probe.context(), x, dy, cache);
  auto refused_or_right = [&](const char* law, const auto& run) {
    try {
      report.compare<S>(law, run(), plain.derivatives(), probe.options().exact_tolerance,
                        [&](Index i) { return "d/d" + probe.name(i); });
    } catch (const state_error&) {
      report.add(law, true, "");
    } catch (const shape_error&) {
      report.add(law, true, "");
    }
  };
  auto backward = [&](const char* law, Cache& of) {
    refused_or_right(law, [&] {
      auto gradient = layer.make_gradient();
      Matrix<S> dx = Matrix<S>::Zero(x.rows(), batch);
      layer.backward(probe.context(), x, plain.y, dy, dx, gradient, of);
      return LayerPass<S>{{}, dx, pack<S>(gradient)}.derivatives();
    });
  };
  auto both = [&](const char* law, Cache& of) {
    refused_or_right(law,
                     [&] { return probe.pass(layer, probe.context(), x, dy, of).derivatives(); });
    backward(law, of);
  };
  backward("backward needs its forward", unused);
  Matrix<S> fewer(dy.rows(), batch - 1);
  layer.forward(probe.context(), x.leftCols(batch - 1), fewer, cache);
  backward("backward has the batch of its forward", cache);
  Cache small = layer.make_cache(batch - 1);
  both("cache has room", small);
  if constexpr (std::default_initializable<Cache>) {
    Cache nobodys{};
    both("cache is of this layer", nobodys);
  }
}

/// What a head refuses of caches, weights and derivatives.
template <class S, class H>
void check_head_state(const H& head, const Matrix<S>& logits, const std::string& scalar,
                      LawReport& report) {
  using Cache = typename H::Cache;
  const Index n = head.num_experts(), rows = logits.rows(), columns = logits.cols();
  const Context context = training(columns);
  auto output = [&](Storage storage, Index experts, Index begun) {
    GateOutput<S> made(storage, experts, columns);
    made.begin(begun);
    return made;
  };
  auto forward = [&](const Matrix<S>& z, GateOutput<S>& weights, Cache& cache) {
    head.forward(context, z, weights, cache);
  };
  auto backward = [&](const Matrix<S>& z, const GateOutput<S>& weights,
                      const GateOutput<S>& dweights, Matrix<S> dlogits, Cache& cache) {
    auto gradient = head.make_gradient();
    head.backward(context, z, weights, dweights, 1, dlogits, gradient, cache);
  };
  for (const Storage storage : {Storage::dense, Storage::routing}) {
    const Storage other = storage == Storage::dense ? Storage::routing : Storage::dense;
    auto add = [&](const char* law, bool holds, const char* what = "") {
      const char* name = storage == Storage::dense ? ", dense: " : ", routing: ";
      report.add(law, holds, scalar + name + what);
    };
    Cache cache = head.make_cache(columns);
    GateOutput<S> weights = output(storage, n, columns);
    const Matrix<S> dlogits = Matrix<S>::Zero(rows, columns);
    auto needs_forward = [&] {
      return throws<state_error>("backward",
                                 [&] { backward(logits, weights, weights, dlogits, cache); });
    };
    add("backward needs its forward", needs_forward());
    Matrix<S> bad = logits;
    bad(0, columns - 1) = std::numeric_limits<S>::quiet_NaN();
    throws<numeric_error>("", [&] { forward(bad, weights, cache); });
    add("backward needs its forward", needs_forward(), "a forward that threw");
    forward(logits.leftCols(columns - 1), weights, cache);
    add("backward has the batch of its forward", needs_forward());

    forward(logits, weights, cache);
    auto refuses = [&](const char* what, const GateOutput<S>& w, const GateOutput<S>& dw,
                       const Matrix<S>& dz) {
      add("arguments of backward fit",
          throws<shape_error>(what, [&] { backward(logits, w, dw, dz, cache); }), what);
    };
    for (const auto& misfit : {output(storage, n + 1, columns), output(other, n, columns),
                               output(storage, n, columns - 1), GateOutput<S>()}) {
      refuses("weights", misfit, weights, dlogits);
      refuses("dweights", weights, misfit, dlogits);
    }
    if (storage == Storage::routing) {
      refuses("dweights", weights, output(storage, n, columns), dlogits);
    }
    refuses("rows of dlogits", weights, weights, Matrix<S>::Zero(rows + 1, columns));
    refuses("columns of dlogits", weights, weights, Matrix<S>::Zero(rows, columns - 1));

    GateOutput<S> more = output(storage, n + 1, columns);
    add("weights have the head's experts",
        throws<shape_error>("experts of the weights", [&] { forward(logits, more, cache); }));
    Cache small = head.make_cache(columns - 1);
    add("cache has room", throws<shape_error>("cache", [&] { forward(logits, weights, small); }));
    if constexpr (std::default_initializable<Cache>) {
      Cache nobodys{};
      add("cache is of this head",
          throws<state_error>("cache", [&] { forward(logits, weights, nobodys); }), "forward");
      add("cache is of this head", throws<state_error>("cache", [&] {
            backward(logits, weights, weights, dlogits, nobodys);
          }), "backward");
    }
  }
}

}  // namespace selgate::detail
