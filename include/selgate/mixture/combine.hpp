// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/executor.hpp>
#include <selgate/mixture/many_small_experts.hpp>

#include <algorithm>
#include <span>
#include <type_traits>

namespace selgate {

namespace detail {

/// Columns that one block of work covers: fixed by shape, whatever the threads.
inline constexpr Index columns_per_block = 64;

inline Index num_column_blocks(Index columns) {
  return (columns + columns_per_block - 1) / columns_per_block;
}
template <class Body>
void for_column_blocks(Executor* executor, Index columns, const Body& body) {
  run_blocks(executor, num_column_blocks(columns), [&](Index block) {
    const Index first = block * columns_per_block;
    body(first, std::min(columns, first + columns_per_block));
  });
}

/// y = sum over the terms of weight * f(term), vectors of so many units.
template <class S, class Output>
void combine_one(std::span<const Term<S>> terms, const Output& f, Index units, S* y) {
  using L = kernel::Lanes<S>;
  Index r = 0;
  auto strips = [&]<int Width>(std::integral_constant<int, Width>) {
    for (; r + Width * L::count <= units; r += Width * L::count) {
      typename L::Element sum[Width] = {};
      for (const Term<S>& term : terms) {
        const S* from = f(term) + r;
        for (int i = 0; i < Width; ++i) sum[i] += L::load(from + i * L::count) * term.weight;
      }
      for (int i = 0; i < Width; ++i) L::store(sum[i], y + r + i * L::count);
    }
  };
  strips(std::integral_constant<int, 4>{});
  strips(std::integral_constant<int, 1>{});
  for (; r < units; ++r) {
    S sum(0);
    for (const Term<S>& term : terms) sum += f(term)[r] * term.weight;
    y[r] = sum;
  }
}

/// df += weight * dy, and dweight += <dy, f> over the lanes.
template <class S>
void combine_one_backward(const S& weight, const S* f, const S* dy, Index units, S* df,
                          typename kernel::Lanes<S>::Element& dweight) {
  using L = kernel::Lanes<S>;
  Index r = 0;
  for (; r + L::count <= units; r += L::count) {
    const auto dy_r = L::load(dy + r);
    L::store(L::load(df + r) + dy_r * weight, df + r);
    dweight += dy_r * L::load(f + r);
  }
  S rest(0);
  for (; r < units; ++r) {
    df[r] += dy[r] * weight;
    rest += dy[r] * f[r];
  }
  if (units % L::count != 0) kernel::set_lane(dweight, 0, kernel::get_lane(dweight, 0) + rest);
}

}  // namespace detail

/// Y_t(:, b) = sum over active experts e of w_t(e, b) F_e(:, b), experts in ascending order.
/// Sets y, the vectors Y_t(:, b); inactive experts are never read.
template <class S>
void combine(const Context& context, const Terms<S>& terms, const ExpertBlocks<S>& outputs,
             const TaskVectors<S>& y) {
  const Index units = outputs.rows();
  const detail::ManySmallExperts<S> small{terms, outputs, units};
  const bool in_tiles = small.apply();
  detail::for_column_blocks(context.executor, y.batch, [&](Index first, Index last) {
    if (in_tiles) {
      small.for_tiles(first, last, [&](Index b, Index count) { small.combine(b, count, y); });
      return;
    }
    for (Index b = first; b < last; ++b) {
      auto f = [&, base = terms.base(b)](const Term<S>& term) {
        return outputs.vector(base + term.place, b);
      };
      for (Index t = 0; t < terms.num_tasks(); ++t) {
        detail::combine_one<S>(terms.column(terms.column_of(t, b)), f, units, y.at(t, b));
      }
    }
  });
}

/// Backward of combine: sets dF_e(:, b) = sum_t w_t(e, b) dY_t(:, b) for the active experts, and in
/// the support alone dw_t(e, b) = <dY_t(:, b), F_e(:, b)> (a static gate: summed over b).
template <class S>
void combine_backward(const Context& context, Terms<S>& terms, const ExpertBlocks<S>& outputs,
                      const TaskVectors<const S>& dy, ExpertBlocks<S>& doutputs,
                      GateOutput<S>& dweights) {
  using L = kernel::Lanes<S>;
  const Index units = outputs.rows();
  const detail::ManySmallExperts<S> small{terms, outputs, units};
  const bool in_tiles = small.apply();
  const bool is_product = small.weight_gradient_is_product(dweights);
  // A static gate's terms are the same in every block of examples: unless dweights is a product,
  // each block has its own sums, and each sum its lanes.
  const bool has_sums = terms.is_static() && !is_product;
  const Index blocks = has_sums ? detail::num_column_blocks(dy.batch) : 0;
  const Index lanes = in_tiles ? 1 : L::count;
  S* sums = has_sums ? terms.derivatives(blocks * lanes) : nullptr;
  const bool is_stacked = outputs.stacked_rows() != 0;  // zero a column when its turn comes
  if (!in_tiles && !is_stacked) doutputs.set_zero();
  detail::for_column_blocks(context.executor, dy.batch, [&](Index first, Index last) {
    S* block = sums;
    if (has_sums) block += first / detail::columns_per_block * terms.size() * lanes;
    if (in_tiles) {
      small.for_tiles(first, last,
                      [&](Index b, Index count) { small.backward(b, count, dy, doutputs, block); });
      return;
    }
    for (Index b = first; b < last; ++b) {
      if (is_stacked) doutputs.stacked(b, 1).setZero();
      for (Index t = 0; t < terms.num_tasks(); ++t) {
        const Index c = terms.column_of(t, b);
        S* sum = block + (terms.is_static() ? terms.first(c) * lanes : 0);
        for (const Term<S>& term : terms.column(c)) {
          const Index place = terms.base(b) + term.place;
          auto own = terms.is_static() ? L::load(sum) : typename L::Element{};
          detail::combine_one_backward<S>(term.weight, outputs.vector(place, b), dy.at(t, b), units,
                                          doutputs.vector(place, b), own);
          if (terms.is_static()) {
            L::store(own, sum);
            sum += lanes;
          } else {
            dweights.weight_ref(term.expert, c) = L::sum(own);
          }
        }
      }
    }
  });
  if (is_product) {
    detail::for_column_blocks(context.executor, dy.num_tasks, [&](Index first, Index last) {
      small.set_weight_gradient(first, last, dy, dweights);
    });
  }
  if (!has_sums) return;
  const Index size = terms.size() * lanes;
  for (Index i = 1; i < blocks; ++i) {
    for (Index at = 0; at < size; ++at) sums[at] += sums[i * size + at];
  }
  for (Index c = 0; c < terms.num_columns(); ++c) {
    for (const Term<S>& term : terms.column(c)) {
      dweights.weight_ref(term.expert, c) = in_tiles ? *sums : L::sum(L::load(sums));
      sums += lanes;
    }
  }
}

}  // namespace selgate
