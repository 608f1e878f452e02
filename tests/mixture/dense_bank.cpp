// SPDX-License-Identifier: MIT
#include <selgate/mixture/dense_bank.hpp>

#include <selgate/layer/dense.hpp>
#include <selgate/optim/adam.hpp>
#include <selgate/testing/mixture_laws.hpp>

#include "catch.hpp"

#include <cmath>
#include <string>

using namespace selgate;

namespace {

LawReport check(const DenseBankOptions& options, const LayerLawOptions& laws) {
  return check_bank(
      [&](auto scalar, Rng& rng) { return DenseBank<decltype(scalar)>(options, rng); }, laws);
}

}  // namespace

TEST_CASE("dense bank: laws") {
  const Index n = GENERATE(1, 2, 5);
  const bool bias = GENERATE(false, true);
  const Activation activation = GENERATE(Activation::identity, Activation::relu);
  const LawReport report = check({.in_features = 4,
                                  .out_features = 3,
                                  .num_experts = n,
                                  .bias = bias,
                                  .activation = activation},
                                 {.batch = 7});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("dense bank: laws with experts that fill more than one product") {
  const LawReport report = check({.in_features = 3, .out_features = 90, .num_experts = 6},
                                 {.batch = 4, .max_coordinates = 40});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("dense bank: laws of sums of units") {
  const Index s = GENERATE(2, 4, 7), u = GENERATE(1, 3);
  const bool bias = GENERATE(false, true);
  const LawReport report = check({.in_features = 4,
                                  .out_features = u,
                                  .num_experts = 4,
                                  .bias = bias,
                                  .activation = bias ? Activation::relu : Activation::identity,
                                  .units_per_output = s},
                                 {.batch = 7, .max_coordinates = 60});
  INFO(report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("dense bank: an output is the sum of its units", "", float, double) {
  using S = TestType;
  const Index batch = GENERATE(0, 1, 16, 37, 70), s = GENERATE(1, 3, 5), u = GENERATE(1, 20);
  const Index p = 9, n = 3;
  Rng rng(1);
  DenseBank<S> sums({.in_features = p, .out_features = u, .num_experts = n, .units_per_output = s},
                    rng);
  DenseBank<S> apart({.in_features = p, .out_features = u * s, .num_experts = n}, rng);
  fill_uniform(sums.bias, -1, 1, rng);
  unpack(pack<S>(sums), apart);
  GateOutput<S> selected(Storage::dense, n, batch);
  selected.begin(batch);
  selected.dense().setOnes();
  if (batch > 16) selected.dense()(1, 3) = 0;  // not whole
  Dispatch dispatch(n);
  dispatch.build(selected, 1, batch, false);
  const Matrix<S> x = uniform<S>(p, batch, rng);
  ExpertBlocks<S> y, dy, units, dunits;
  auto run = [&](const DenseBank<S>& bank, ExpertBlocks<S>& outputs, ExpertBlocks<S>& doutputs,
                 Matrix<S>& dx, const auto& set_doutputs) {
    outputs.layout(dispatch, bank.out_features());
    doutputs.layout(dispatch, bank.out_features());
    auto cache = bank.make_cache(batch);
    auto gradient = bank.make_gradient();
    bank.forward({}, dispatch, x, outputs, cache);
    set_doutputs();
    bank.backward({}, dispatch, x, outputs, doutputs, dx, gradient, cache);
    return gradient;
  };
  Matrix<S> dx = Matrix<S>::Zero(p, batch), expected_dx = dx;
  std::vector<Matrix<S>> d;
  auto gradient = run(sums, y, dy, dx, [&] {
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      d.push_back(uniform<S>(u, dispatch.num_columns(rank), rng));
      dy.block(dispatch, rank) = d.back();
    }
  });
  auto expected = run(apart, units, dunits, expected_dx, [&] {
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      auto block = dunits.block(dispatch, rank);
      const auto& d_rank = d[static_cast<std::size_t>(rank)];
      for (Index r = 0; r < u * s; ++r) block.row(r) = d_rank.row(r / s);
    }
  });
  const S eps = std::numeric_limits<S>::epsilon();
  for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
    for (Index j = 0; j < u; ++j) {
      const Matrix<S> sum = units.block(dispatch, rank).middleRows(j * s, s).colwise().sum();
      CHECK(((y.block(dispatch, rank).row(j) - sum).array().abs() <= S(200) * eps).all());
    }
  }
  CHECK(gradient.weight.isApprox(expected.weight, S(100) * eps));
  CHECK(gradient.bias.isApprox(expected.bias, S(100) * eps));
  CHECK(dx.isApprox(expected_dx, S(100) * eps));
}

TEST_CASE("dense bank: laws with dropout") {
  const double dropout = GENERATE(0.3, 0.5);
  const Mode mode = GENERATE(Mode::train, Mode::eval);
  // Masks come in blocks of 128: here they begin and end anywhere in them.
  const LawReport report =
      check({.in_features = 3, .out_features = 90, .num_experts = 4, .dropout = dropout},
            {.batch = 4, .mode = mode, .max_coordinates = 40});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("dense bank: dropout is the mask of an example, whatever selects the expert") {
  constexpr Index n = 3, units = 70, batch = 5;
  Rng rng(4), same(4);
  const DenseBankOptions options{.in_features = 4, .out_features = units, .num_experts = n};
  DenseBankOptions dropping = options;
  dropping.dropout = 0.5;
  const DenseBank<double> plain(options, same);
  DenseBank<double> bank(dropping, rng);
  unpack(pack<double>(plain), bank);
  const Matrix<double> x = uniform<double>(4, batch, rng);
  Matrix<double> all = Matrix<double>::Ones(n, batch), some = all;
  some(0, 3) = some(1, 0) = some(2, 2) = some(2, 4) = 0;
  /// n u x batch, NaN where an expert does not see the example.
  auto outputs_of = [&](const DenseBank<double>& of, const Context& context,
                        const Matrix<double>& weights) {
    GateOutput<double> selected(Storage::dense, n, batch);
    selected.begin(batch);
    selected.dense() = weights;
    Dispatch dispatch(n);
    dispatch.build(selected, 1, batch, false);
    ExpertBlocks<double> outputs;
    outputs.layout(dispatch, units);
    auto cache = of.make_cache(batch);
    of.forward(context, dispatch, x, outputs, cache);
    Matrix<double> y = Matrix<double>::Constant(n * units, batch, std::nan(""));
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      for (Index j = 0; j < dispatch.num_columns(rank); ++j) {
        y.block(dispatch.expert(rank) * units, dispatch.example(rank, j), units, 1) =
            outputs.block(dispatch, rank).col(j);
      }
    }
    return y;
  };
  const Context context = training(batch, 2, 3);
  const Matrix<double> h = outputs_of(plain, context, all), y = outputs_of(bank, context, all);
  CHECK(outputs_of(bank, Context{}, all) == h);
  // Each unit is twice what it was, or 0.
  CHECK((y.array() == 0 || y.array() == 2 * h.array()).all());
  const double kept = static_cast<double>((y.array() != 0).count());
  const double active = static_cast<double>((h.array() != 0).count());
  CHECK(std::abs(kept / active - 0.5) < 5 * std::sqrt(0.25 / active));
  for (Index lag : {1, 16, 32, 70, 128}) {
    const Matrix<double> above = y.topRows(n * units - lag), below = y.bottomRows(n * units - lag);
    CHECK(((above.array() == 0) != (below.array() == 0)).any());
  }
  const Matrix<double> gathered = outputs_of(bank, context, some);
  for (Index b = 0; b < batch; ++b) {
    for (Index e = 0; e < n; ++e) {
      if (some(e, b) == 0) continue;
      const auto one = gathered.block(e * units, b, units, 1),
                 other = y.block(e * units, b, units, 1);
      CHECK((one - other).cwiseAbs().maxCoeff() <= 1e-14);
      CHECK(((one.array() == 0) == (other.array() == 0)).all());
    }
  }
}

TEST_CASE("dense bank: each expert is a Dense") {
  Rng rng(1);
  const DenseBank<double> bank(
      {.in_features = 4, .out_features = 3, .num_experts = 5, .activation = Activation::relu}, rng);
  const double range = std::sqrt(6.0 / 7);
  CHECK((bank.weight.cwiseAbs().maxCoeff() <= range &&
         bank.weight.cwiseAbs().maxCoeff() > 0.9 * range));
  CHECK(bank.bias.isZero(0));
  const Matrix<double> x = uniform<double>(4, 6, rng);
  GateOutput<double> selected(Storage::dense, 5, 6);
  selected.begin(6);
  selected.dense().setOnes();
  Dispatch dispatch(5);
  dispatch.build(selected, 1, 6, false);
  ExpertBlocks<double> outputs;
  outputs.layout(dispatch, 3);
  auto cache = bank.make_cache(6);
  bank.forward({}, dispatch, x, outputs, cache);
  for (Index e = 0; e < 5; ++e) {
    Dense<double> expert({.in_features = 4, .out_features = 3, .activation = Activation::relu},
                         rng);
    unpack(pack<double>(bank.expert(e)), expert);
    Matrix<double> y(3, 6);
    auto expert_cache = expert.make_cache(6);
    expert.forward({}, x, y, expert_cache);
    CHECK((outputs.block(dispatch, e) - y).cwiseAbs().maxCoeff() <= 1e-15);
  }
}

TEST_CASE("dense bank: names and shapes as in files") {
  Rng rng(1);
  std::string text;
  auto write = [&](const std::string& path, const auto& leaf) {
    text += path;
    for (int i = 0; i < leaf.shape.rank; ++i) text += " " + to_text(leaf.shape[i]);
    text += "\n";
  };
  const DenseBank<float> bank({.in_features = 4, .out_features = 3, .num_experts = 2}, rng);
  for_each_named_leaf(write, bank);
  CHECK(text == "0.weight 3 4\n0.bias 3\n1.weight 3 4\n1.bias 3\n");
  text.clear();
  const auto gradient = bank.make_gradient();
  for_each_named_leaf(write, gradient);
  CHECK(text == "0.weight 3 4\n0.bias 3\n1.weight 3 4\n1.bias 3\n");
}

TEST_CASE("dense bank: rejects sizes below 1") {
  Rng rng(1);
  auto make = [&](Index in, Index out, Index n) {
    return DenseBank<float>({.in_features = in, .out_features = out, .num_experts = n}, rng);
  };
  CHECK_THROWS_WITH(make(0, 1, 1), "dense bank: in_features: expected >= 1, got 0");
  CHECK_THROWS_WITH(make(1, 0, 1), "dense bank: out_features: expected >= 1, got 0");
  CHECK_THROWS_WITH(make(1, 1, 0), "dense bank: num_experts: expected >= 1, got 0");
  CHECK_THROWS_AS(make(1, 1, -1), config_error);
  CHECK_THROWS_WITH(
      DenseBank<float>(
          {.in_features = 1, .out_features = 1, .num_experts = 1, .units_per_output = 0}, rng),
      "dense bank: units_per_output: expected >= 1, got 0");
}

TEST_CASE("dense bank: an optimizer names the expert") {
  Rng rng(1);
  using Bank = DenseBank<double>;
  Bank bank({.in_features = 3, .out_features = 2, .num_experts = 4}, rng);
  Bank wide({.in_features = 3, .out_features = 4, .num_experts = 2}, rng);  // as many units
  auto gradient = bank.make_gradient();
  Adam<Bank> adam({}, bank);
  CHECK_THROWS_WITH(adam.step(wide, gradient),
                    "optimizer: model, block 0.weight: expected 2 x 3, got 4 x 3");
  gradient.bias[5] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(adam.step(bank, gradient),
                    Catch::Matchers::ContainsSubstring("gradient of 2.bias, entry 1:"));
  gradient.bias[5] = 0;
  gradient.weight(2, 7) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(adam.step(bank, gradient),
                    Catch::Matchers::ContainsSubstring("gradient of 3.weight, entry 5:"));
}

TEST_CASE("dense bank: rejects dropout out of range, or that backward could not see") {
  Rng rng(1);
  DenseBankOptions options{.in_features = 1, .out_features = 1, .num_experts = 1, .dropout = 1};
  auto make = [&] { return DenseBank<float>(options, rng); };
  CHECK_THROWS_WITH(make(), "dense bank: dropout: expected in [0, 1), got 1");
  options.dropout = 0.5;
  options.activation = Activation::identity;
  CHECK_THROWS_WITH(make(), "dense bank: dropout: expected 0 where units are no ReLU, got 0.5");
  options.activation = Activation::relu;
  options.units_per_output = 2;
  CHECK_THROWS_WITH(make(),
                    "dense bank: dropout: expected 0 where outputs are sums of units, got 0.5");
}
