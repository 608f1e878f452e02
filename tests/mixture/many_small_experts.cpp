// SPDX-License-Identifier: MIT
#include <selgate/mixture/many_small_experts.hpp>

#include <selgate/core/random.hpp>
#include <selgate/mixture/combine.hpp>

#include "catch.hpp"

#include <algorithm>
#include <limits>

using namespace selgate;

namespace {

constexpr Index all_experts = 37;

/// Weights of which such a share is not 0, in the same places for so many neighbouring gates.
template <class S>
GateOutput<S> some_weights(Index gates, double density, Index same, Rng& rng) {
  GateOutput<S> weights(Storage::dense, all_experts, gates);
  weights.begin(gates);
  weights.dense() = uniform<S>(all_experts, gates, rng, 0.5, 1);
  for (Index t = 0; t < gates; ++t) {
    for (Index e = 0; e < all_experts; ++e) {
      const bool zero =
          t % same == 0 ? rng.uniform(0, 1) > density : weights.dense()(e, t - 1) == S(0);
      if (zero) weights.dense()(e, t) = S(0);
    }
  }
  return weights;
}

/// The same weights as lists.
template <class S>
GateOutput<S> listed(const GateOutput<S>& weights) {
  GateOutput<S> result(Storage::routing, weights.num_experts(), weights.num_columns());
  result.begin(weights.num_columns());
  for (Index c = 0; c < weights.num_columns(); ++c) {
    result.routing().push_non_zeros(weights.dense().col(c).data(), weights.num_experts());
    result.routing().end_column();
  }
  return result;
}

/// T u x B seen as tasks' rows, or, copied, as a matrix a task.
template <class S>
struct Vectors {
  Matrix<S> numbers;
  Index units, batch;
  bool in_rows;

  Vectors(const Matrix<S>& rows, Index features, bool rows_of_one)
      : numbers(rows), units(features), batch(rows.cols()), in_rows(rows_of_one) {
    if (in_rows) return;
    numbers.resize(units * (batch + 1), rows.rows() / units);
    for (Index t = 0; t < numbers.cols(); ++t) {
      numbers.col(t).head(units * batch) = rows.middleRows(t * units, units).reshaped();
    }
  }
  template <class T>
  TaskVectors<T> view() {
    if (in_rows) return {numbers.data(), numbers.rows() / units, batch, units, numbers.rows()};
    return {numbers.data(), numbers.cols(), batch, numbers.rows(), units};
  }
  [[nodiscard]] Matrix<S> rows() const {
    if (in_rows) return numbers;
    Matrix<S> result(numbers.cols() * units, batch);
    for (Index t = 0; t < numbers.cols(); ++t) {
      result.middleRows(t * units, units) =
          numbers.col(t).head(units * batch).reshaped(units, batch);
    }
    return result;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("many small experts: static gates are a product", "", float, double) {
  using S = TestType;
  const Index gates = GENERATE(3, 4, 70), units = GENERATE(1, 3), batch = GENERATE(1, 16, 64, 101);
  const double density = GENERATE(1.0, 0.5, 0.1);
  const Index same = density == 1 ? 1 : GENERATE(1, 4, 6);
  const bool in_rows = GENERATE(true, false);
  if (units > 1 && kernel::Lanes<S>::count <= units) return;
  Rng rng(1);
  const GateOutput<S> weights = some_weights<S>(gates, density, same, rng);
  Dispatch dispatch(all_experts);
  dispatch.build(weights, gates, batch, true);
  ExpertBlocks<S> outputs, doutputs;
  outputs.layout(dispatch, units);
  doutputs.layout(dispatch, units);
  const Index active = dispatch.num_active();
  const Matrix<S> f = uniform<S>(active * units, batch, rng),
                  dy = uniform<S>(gates * units, batch, rng);
  outputs.stacked(0, batch) = f;
  Terms<S> terms;
  terms.build({weights, gates, true}, dispatch);
  const detail::ManySmallExperts<S> small{terms, outputs, units};
  REQUIRE(small.apply());
  CHECK(small.weight_gradient_is_product(weights) == (density == 1 && units == 1));
  const S untouched = S(7);
  Vectors<S> y(Matrix<S>::Constant(gates * units, batch, untouched), units, in_rows),
      dy_vectors(dy, units, in_rows);
  if (!in_rows) y.numbers.setConstant(untouched);
  combine<S>({}, terms, outputs, y.template view<S>());
  GateOutput<S> dweights = weights;
  dweights.dense() = weights.dense().unaryExpr(  // no sum begins there
      [untouched](const S& w) { return w != S(0) ? untouched : S(0); });
  combine_backward<S>({}, terms, outputs, dy_vectors.template view<const S>(), doutputs, dweights);
  Executor executor(2);
  Context context;
  context.executor = &executor;
  GateOutput<S> same_dweights = dweights;
  same_dweights.zero_like(weights);
  combine_backward<S>(context, terms, outputs, dy_vectors.template view<const S>(), doutputs,
                      same_dweights);
  CHECK(same_dweights.dense() == dweights.dense());
  const GateOutput<S> list = listed(weights);
  GateOutput<S> dlist = list;
  combine_backward<S>({}, terms, outputs, dy_vectors.template view<const S>(), doutputs, dlist);

  Matrix<S> w = Matrix<S>::Zero(active, gates), dw = w;  // of the active experts
  for (Index rank = 0; rank < active; ++rank) {
    w.row(rank) = weights.dense().row(dispatch.expert(rank));
    dw.row(rank) = dweights.dense().row(dispatch.expert(rank));
  }
  const S tolerance = S(200) * std::numeric_limits<S>::epsilon();
  Matrix<S> expected_dw = Matrix<S>::Zero(active, gates);
  for (Index r = 0; r < units; ++r) {  // one row of each expert and each task
    const auto rows_of = [&](const Matrix<S>& m) {
      return Matrix<S>(m(Eigen::seqN(r, m.rows() / units, units), Eigen::all));
    };
    const Matrix<S> f_r = rows_of(f), dy_r = rows_of(dy);
    CHECK(rows_of(y.rows()).isApprox(w.transpose() * f_r, tolerance));
    CHECK(rows_of(doutputs.stacked(0, batch)).isApprox(w * dy_r, tolerance));
    expected_dw += f_r * dy_r.transpose();
  }
  expected_dw = (w.array() != S(0)).select(expected_dw, S(0)).eval();
  CHECK((dw - expected_dw).norm() <= tolerance * expected_dw.norm() * S(2));
  const Matrix<S> dlist_dense = dlist.to_dense();
  CHECK((dlist_dense - dweights.dense()).norm() <= tolerance * expected_dw.norm() * S(2));
  if (!in_rows) CHECK((y.numbers.bottomRows(units).array() == untouched).all());
}
