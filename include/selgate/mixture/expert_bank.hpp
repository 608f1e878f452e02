// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/mixture/dispatch.hpp>

#include <concepts>

namespace selgate {

/// n experts behind one door. Only active experts are ever touched: the passes, the gradient's
/// `touched` set (so zeroing and stepping too) and the FLOP count know the others only by name.
///
/// Laws:
///   forward   sets the blocks of the active experts (out_features x num_columns each, laid out by
///             the caller) from the examples they see.
///   backward  ADDS to dx and gradient; overwrites doutputs, its scratch.
///   visit     one child an expert, numbered, so that a file has "experts.3.weight"; a walk without
///             names may see a stack as one leaf.
template <class B>
concept ExpertBank =
    Module<B> && requires(const B& bank, const Context& context, const Dispatch& dispatch,
                          In<typename B::Scalar> x, ExpertBlocks<typename B::Scalar>& blocks,
                          Out<typename B::Scalar> dx, typename B::Gradient& gradient,
                          typename B::Cache& cache) {
      { bank.num_experts() } -> std::convertible_to<Index>;
      { bank.in_features() } -> std::convertible_to<Index>;
      { bank.out_features() } -> std::convertible_to<Index>;
      bank.forward(context, dispatch, x, blocks, cache);
      bank.backward(context, dispatch, x, blocks, blocks, dx, gradient, cache);
      {
        bank.regularization(context, dispatch, std::as_const(cache))
      } -> std::convertible_to<accumulate_t<typename B::Scalar>>;
      { bank.flops(dispatch, std::as_const(cache)) } -> std::same_as<Flops>;
    };

/// body(x_e), where the columns of x_e are the examples that an expert sees: x itself where it sees
/// all, else its block of `gathered`.
template <class S, class Body>
void with_seen(const Dispatch& dispatch, Index rank, const In<S>& x, ExpertBlocks<S>& gathered,
               const Body& body) {
  if (dispatch.sees_all(rank)) {
    body(x);
  } else {
    body(In<S>(gathered.block(dispatch, rank)));
  }
}
/// Fills that block: x_e(:, j) = x(:, example(rank, j)).
template <class S>
void gather(const Dispatch& dispatch, Index rank, const In<S>& x, ExpertBlocks<S>& gathered) {
  if (dispatch.sees_all(rank)) return;
  auto x_e = gathered.block(dispatch, rank);
  for (Index j = 0; j < x_e.cols(); ++j) x_e.col(j) = x.col(dispatch.example(rank, j));
}
/// dx(:, example(rank, j)) += dx_e(:, j).
template <class S>
void scatter_add(const Dispatch& dispatch, Index rank, const View<S>& gathered, Out<S> dx) {
  for (Index j = 0; j < gathered.cols(); ++j) dx.col(dispatch.example(rank, j)) += gathered.col(j);
}

}  // namespace selgate
