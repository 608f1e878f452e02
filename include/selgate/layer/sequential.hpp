// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

namespace selgate {

/// Layers one after another, itself a layer: `Sequential(Dense<float>(...), Dropout<float>(...))`.
///
/// Layer i reads what layer i - 1 wrote; the buffers in between lie in the cache. In backward the
/// gradients of these buffers start at zero and the layers run from the last to the first. In a
/// file the parameters of layer i stand below its position, as in `0.weight`, `1.bias`. Throws
/// shape_error where the outputs of one layer are not as many as the inputs of the next.
template <class... Layers>
  requires(sizeof...(Layers) >= 1 && (Layer<Layers> && ...))
class Sequential {
  static constexpr std::size_t size = sizeof...(Layers);
  using First = std::tuple_element_t<0, std::tuple<Layers...>>;

 public:
  using Scalar = typename First::Scalar;
  static_assert((std::same_as<typename Layers::Scalar, Scalar> && ...),
                "the layers of a Sequential must have the same scalar");
  struct Gradient {
    std::tuple<typename Layers::Gradient...> layers;

    template <class F, class... M>
    static void visit(F&& f, M&... m) {
      Sequential::visit(f, m...);
    }
  };
  struct Cache {
    std::tuple<typename Layers::Cache...> layers;
    std::array<Matrix<Scalar>, size - 1> y, dy;  // after each layer but the last: out x max_batch
    Index columns = -1;                          // of the last forward
  };

  explicit Sequential(Layers... of) : layers(std::move(of)...) {
    for_each_layer([&](auto i) {
      if constexpr (i > 0) {
        require_size(
            "Sequential: in_features of layer " + to_text(i()) + " (out_features before it)",
            std::get<i - 1>(layers).out_features(), std::get<i>(layers).in_features());
      }
    });
  }

  [[nodiscard]] Index in_features() const { return std::get<0>(layers).in_features(); }
  [[nodiscard]] Index out_features() const { return std::get<size - 1>(layers).out_features(); }

  Cache make_cache(Index max_batch) const {
    Cache cache = std::apply(
        [&](const auto&... layer) {
          return Cache{.layers = {layer.make_cache(max_batch)...}, .y = {}, .dy = {}};
        },
        layers);
    for_each_layer([&](auto i) {
      if constexpr (i + 1 < size) {
        const Index features = std::get<i>(layers).out_features();
        std::get<i>(cache.y).resize(features, max_batch);
        std::get<i>(cache.dy).resize(features, max_batch);
      }
    });
    return cache;
  }
  Gradient make_gradient() const {
    return std::apply([](const auto&... layer) { return Gradient{{layer.make_gradient()...}}; },
                      layers);
  }

  void forward(const Context& context, const In<Scalar>& x, Out<Scalar> y, Cache& cache) const {
    require_forward_shapes(*this, "Sequential", x, y);
    const Index columns = x.cols();
    if constexpr (size > 1) require_capacity("Sequential", cache.y[0].cols(), columns);
    cache.columns = -1;  // until the last layer is done
    for_each_layer([&](auto i) {
      std::get<i>(layers).forward(context, below<i>(x, cache.y, columns),
                                  above<i>(y, cache.y, columns), std::get<i>(cache.layers));
    });
    cache.columns = columns;
  }

  void backward(const Context& context, const In<Scalar>& x, const In<Scalar>& y,
                const In<Scalar>& dy, Out<Scalar> dx, Gradient& gradient, Cache& cache) const {
    require_backward_shapes(*this, "Sequential", x, y, dy, dx);
    const Index columns = x.cols();
    require_same_batch("Sequential", cache.columns, columns);
    for (Matrix<Scalar>& inner : cache.dy) inner.leftCols(columns).setZero();
    for_each_layer([&](auto from_last) {
      constexpr std::size_t i = size - 1 - from_last;
      std::get<i>(layers).backward(context, below<i>(x, cache.y, columns),
                                   above<i>(y, cache.y, columns), above<i>(dy, cache.dy, columns),
                                   below<i>(dx, cache.dy, columns), std::get<i>(gradient.layers),
                                   std::get<i>(cache.layers));
    });
  }

  accumulate_t<Scalar> regularization(const Context& context, const Cache& cache) const {
    accumulate_t<Scalar> total = 0;
    for_each_layer([&](auto i) {
      total += std::get<i>(layers).regularization(context, std::get<i>(cache.layers));
    });
    return total;
  }

  /// An inner layer always computes its dx, so that is part of `backward`.
  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    Flops total;
    for_each_layer([&](auto i) {
      Flops one = std::get<i>(layers).flops(columns, std::get<i>(cache.layers));
      if (i > 0) one.backward += std::exchange(one.input_gradient, 0);
      total += one;
    });
    return total;
  }

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    for_each_layer([&](auto i) { f("", static_cast<Index>(i()), std::get<i>(m.layers)...); });
  }

  std::tuple<Layers...> layers;

 private:
  /// body(0), body(1)... with each number as a type, for std::get.
  template <class Body>
  static void for_each_layer(const Body& body) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (body(std::integral_constant<std::size_t, I>{}), ...);
    }
    (std::make_index_sequence<size>{});
  }

  /// What lies below (above) layer I: the outer end for the first (last), else an inner buffer.
  template <std::size_t I, class End, class Buffers>
  static End below(const End& outer, Buffers& buffers, Index columns) {
    if constexpr (I == 0) {
      return outer;
    } else {
      return std::get<I - 1>(buffers).leftCols(columns);
    }
  }
  template <std::size_t I, class End, class Buffers>
  static End above(const End& outer, Buffers& buffers, Index columns) {
    if constexpr (I + 1 == size) {
      return outer;
    } else {
      return std::get<I>(buffers).leftCols(columns);
    }
  }
};

}  // namespace selgate
