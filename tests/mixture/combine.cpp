// SPDX-License-Identifier: MIT
#include <selgate/mixture/combine.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <limits>

using namespace selgate;

namespace {

constexpr Index num_experts = 5, num_tasks = 2;

/// Weights of which about a third are not 0, expert outputs for all of them, and NaN for the
/// others.
template <class S>
struct Example {
  GateOutput<S> weights;
  bool is_static;
  Index batch, units;
  std::vector<Matrix<S>> f;  // per expert: units x batch
  Dispatch dispatch{num_experts};
  ExpertBlocks<S> outputs, doutputs;

  Example(Storage storage, bool of_static, Index examples, Index features, Rng& rng)
      : weights(storage, num_experts, of_static ? num_tasks : num_tasks * examples),
        is_static(of_static),
        batch(examples),
        units(features) {
    const Index columns = is_static ? num_tasks : num_tasks * batch;
    weights.begin(columns);
    Matrix<S> w = uniform<S>(num_experts, columns, rng);
    w = (w.array() < S(0.33)).select(S(0), w);
    if (w.cols() > 0) w.row(3).setZero();
    if (storage == Storage::dense) {
      weights.dense() = w;
    } else {
      for (Index c = 0; c < columns; ++c) {
        for (Index e = 0; e < num_experts; ++e) {
          if (w(e, c) != S(0)) weights.routing().push(e, w(e, c));
        }
        weights.routing().end_column();
      }
    }
    for (Index e = 0; e < num_experts; ++e) f.push_back(uniform<S>(units, batch, rng));
    dispatch.build(weights, num_tasks, batch, is_static);
    outputs.layout(dispatch, units);
    doutputs.layout(dispatch, units);
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      for (Index j = 0; j < dispatch.num_columns(rank); ++j) {
        outputs.block(dispatch, rank).col(j) =
            f[static_cast<std::size_t>(dispatch.expert(rank))].col(dispatch.example(rank, j));
      }
    }
  }
  [[nodiscard]] TaskWeights<S> task_weights() const { return {weights, num_tasks, is_static}; }
  [[nodiscard]] Terms<S> terms() const {
    Terms<S> result;
    result.build(task_weights(), dispatch);
    return result;
  }
  [[nodiscard]] S weight(Index e, Index t, Index b) const {
    return weights.weight(e, task_weights().column(t, b));
  }
};

}  // namespace

TEMPLATE_TEST_CASE("combine: equals its definition, forward and backward", "", float, double) {
  using S = TestType;
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const bool is_static = GENERATE(false, true);
  const Index batch = GENERATE(0, 1, 7, 150);
  const int threads = GENERATE(1, 3);
  const Index units = GENERATE(1, 3, 45);  // few for a lane an example, and many for lanes of units
  Rng rng(1);
  Example<S> example(storage, is_static, batch, units, rng);
  const Matrix<S> dy = uniform<S>(num_tasks * units, batch, rng);
  Executor executor(threads);
  Context context;
  context.executor = &executor;

  Matrix<S> y = Matrix<S>::Constant(num_tasks * units, batch, std::numeric_limits<S>::quiet_NaN());
  Terms<S> terms = example.terms();
  combine<S>(context, terms, example.outputs, rows_of_tasks(y, units));
  GateOutput<S> dweights = example.weights;
  dweights.zero_like(example.weights);
  combine_backward<S>(context, terms, example.outputs, rows_of_tasks(dy, units), example.doutputs,
                      dweights);

  Matrix<S> expected_y = Matrix<S>::Zero(num_tasks * units, batch);
  Matrix<S> expected_dw = Matrix<S>::Zero(num_experts, example.weights.num_columns());
  std::vector<Matrix<S>> df(num_experts, Matrix<S>::Zero(units, batch));
  Index num_terms = 0;
  for (Index e = 0; e < num_experts; ++e) {
    const auto at = static_cast<std::size_t>(e);
    for (Index t = 0; t < num_tasks; ++t) {
      for (Index b = 0; b < batch; ++b) {
        const S w = example.weight(e, t, b);
        if (w == S(0)) continue;
        ++num_terms;
        expected_y.block(t * units, b, units, 1) += w * example.f[at].col(b);
        df[at].col(b) += w * dy.block(t * units, b, units, 1);
        expected_dw(e, example.task_weights().column(t, b)) +=
            example.f[at].col(b).dot(dy.block(t * units, b, units, 1).col(0));
      }
    }
  }
  const S eps = std::numeric_limits<S>::epsilon();
  CHECK(((y - expected_y).array().abs() <= S(4 * num_experts) * eps).all());
  CHECK(((dweights.to_dense() - expected_dw).array().abs() <= S(4 * units * (batch + 1)) * eps)
            .all());
  for (Index rank = 0; rank < example.dispatch.num_active(); ++rank) {
    const auto block = example.doutputs.block(example.dispatch, rank);
    const auto at = static_cast<std::size_t>(example.dispatch.expert(rank));
    for (Index j = 0; j < block.cols(); ++j) {
      const auto expected = df[at].col(example.dispatch.example(rank, j));
      CHECK((block.col(j) - expected).cwiseAbs().maxCoeff() <= S(4 * num_tasks) * eps);
    }
  }
  CHECK(terms.size() * (is_static ? batch : 1) == num_terms);
}

TEST_CASE("combine: a task does not see the experts of another") {
  // Expert 0 belongs to task 0 alone, and its output is NaN.
  GateOutput<double> weights(Storage::dense, 2, 2);
  weights.begin(2);
  weights.dense() << 1, 0, 0, 1;
  Dispatch dispatch(2);
  dispatch.build(weights, 2, 1, false);
  ExpertBlocks<double> outputs, doutputs;
  outputs.layout(dispatch, 1);
  doutputs.layout(dispatch, 1);
  outputs.block(dispatch, 0)(0, 0) = std::numeric_limits<double>::quiet_NaN();
  outputs.block(dispatch, 1)(0, 0) = 3;
  Matrix<double> y(2, 1);
  Terms<double> terms;
  terms.build({weights, 2, false}, dispatch);
  combine<double>({}, terms, outputs, rows_of_tasks(y, 1));
  CHECK((std::isnan(y(0, 0)) && y(1, 0) == 3));
  GateOutput<double> dweights = weights;
  dweights.zero_like(weights);
  const Matrix<double> dy = Matrix<double>::Ones(2, 1);
  combine_backward<double>({}, terms, outputs, rows_of_tasks(dy, 1), doutputs, dweights);
  CHECK(dweights.dense()(1, 1) == 3);
  CHECK((dweights.dense()(0, 1) == 0 && dweights.dense()(1, 0) == 0));
}
