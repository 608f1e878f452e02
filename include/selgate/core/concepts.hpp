// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/context.hpp>
#include <selgate/core/error.hpp>
#include <selgate/core/flops.hpp>
#include <selgate/core/types.hpp>
#include <selgate/core/visit.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

namespace selgate {

/// A module is a value: copyable, its passes const, its parameters named by one static `visit`.
/// What a pass must remember lives in a Cache that the caller owns, made once for the largest
/// batch; a Gradient is the module's twin, walked beside it by the same `visit`.
///
/// Required of M:
///   using Scalar, Cache, Gradient;
///   m.make_cache(max_batch)    buffers for up to max_batch columns
///   m.make_gradient()          all zero
///   M::visit(f, objects...)    f(name, index, leaf or child module of each object), see visit.hpp
template <class M>
concept Module = std::copyable<M> && requires(const M& m, Index max_batch,
                                              void (&walk)(const char*, Index)) {
  typename M::Scalar;
  { m.make_cache(max_batch) } -> std::same_as<typename M::Cache>;
  { m.make_gradient() } -> std::same_as<typename M::Gradient>;
  M::visit(walk, m);
};

/// A module from features to features.
///
/// Laws, checked for any type by selgate/testing.hpp:
///   forward   sets y (out_features x B) from x (in_features x B), for every B up to max_batch.
///   backward  ADDS to dx and to gradient the derivative of sum(dy .* y) + regularization, where
///             cache is the one that forward wrote and x, y, dy are features x B. dx may be
///             not_wanted. It may use scratch in the cache, and called twice it adds twice.
///   regularization  what the layer itself adds to the objective in training; 0 for most.
///   flops     floating-point operations of the last forward through this cache and of
///             its backward, regularizers not counted.
///
/// The smallest complete model is a layer without parameters, layer/relu.hpp; the plainest with
/// parameters is layer/dense.hpp.
template <class L>
concept Layer = Module<L> && requires(const L& layer, const Context& context,
                                      In<typename L::Scalar> in, Out<typename L::Scalar> out,
                                      typename L::Cache& cache, typename L::Gradient& gradient) {
  { layer.in_features() } -> std::convertible_to<Index>;
  { layer.out_features() } -> std::convertible_to<Index>;
  layer.forward(context, in, out, cache);
  layer.backward(context, in, in, in, out, gradient, cache);
  {
    layer.regularization(context, std::as_const(cache))
  } -> std::convertible_to<accumulate_t<typename L::Scalar>>;
  { layer.flops(Index{}, std::as_const(cache)) } -> std::same_as<Flops>;
};

/// Gradient, or cache, of a module that has nothing to put there.
struct Empty {
  template <class F, class... M>
  static void visit(F&&, M&...) {}
};

namespace detail {
template <class S>
void require_apart(std::string_view owner, const char* what, const In<S>& out, const In<S>& in) {
  if (!share_memory<S>(out, in)) return;
  throw shape_error(std::string(owner) + ": " + what + ": expected memory apart, got some of both");
}
}  // namespace detail

/// The checks at a layer's door: features agree with the layer, columns with each other, and no
/// output lies over an input.
template <class L, class S>
void require_forward_shapes(const L& layer, std::string_view name, const In<S>& x,
                            const Out<S>& y) {
  require_size(name, "rows of x (in_features)", layer.in_features(), x.rows());
  require_size(name, "rows of y (out_features)", layer.out_features(), y.rows());
  require_size(name, "columns of y (examples in x)", x.cols(), y.cols());
  detail::require_apart<S>(name, "y and x", y, x);
}
template <class L, class S>
void require_backward_shapes(const L& layer, std::string_view name, const In<S>& x, const In<S>& y,
                             const In<S>& dy, const Out<S>& dx) {
  require_size(name, "rows of x (in_features)", layer.in_features(), x.rows());
  require_size(name, "rows of y (out_features)", layer.out_features(), y.rows());
  require_size(name, "columns of y (examples in x)", x.cols(), y.cols());
  require_size(name, "rows of dy (out_features)", layer.out_features(), dy.rows());
  require_size(name, "columns of dy (examples in x)", x.cols(), dy.cols());
  if (wanted(dx)) {
    require_size(name, "rows of dx (in_features)", layer.in_features(), dx.rows());
    require_size(name, "columns of dx (examples in x)", x.cols(), dx.cols());
    detail::require_apart<S>(name, "dx and x", dx, x);
    detail::require_apart<S>(name, "dx and y", dx, y);
    detail::require_apart<S>(name, "dx and dy", dx, dy);
  }
}
/// Throws shape_error unless the gradient of parameters is as large as they are.
template <class P>
void require_gradient(std::string_view name, const P& parameters, const P& gradient) {
  require_size(name, "rows of the gradient", parameters.rows(), gradient.rows());
  require_size(name, "columns of the gradient", parameters.cols(), gradient.cols());
}

}  // namespace selgate
