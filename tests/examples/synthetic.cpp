// SPDX-License-Identifier: MIT
#include "train/synthetic.hpp"

#include "catch.hpp"
#include "message_of.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using Catch::Matchers::WithinAbs;
using selgate::config_error;
using selgate::Index;
using selgate::Matrix;
using selgate::shape_error;
using selgate::examples::Examples;
using selgate::examples::Grouping;
using selgate::examples::jaccard;
using selgate::examples::make_synthetic_tasks;
using selgate::examples::mean_jaccard;
using selgate::examples::selected_experts;
using selgate::examples::SyntheticOptions;
using selgate::test::message_of;

namespace {

SyntheticOptions small(Index num_tasks = 32) {
  return {.num_tasks = num_tasks, .num_train = 500, .num_validation = 40, .num_test = 30};
}
using Sets = std::vector<std::vector<Index>>;

}  // namespace

TEST_CASE("synthetic: sizes and groups under both readings") {
  const Index num_tasks = GENERATE(16, 32, 64, 128);
  SyntheticOptions options = small(num_tasks);
  const auto equal = make_synthetic_tasks(options);
  CHECK(equal.train.x.rows() == 10);
  CHECK(equal.train.x.cols() == 500);
  CHECK(equal.train.targets.rows() == num_tasks);
  CHECK(equal.train.targets.cols() == 500);
  CHECK(equal.validation.targets.cols() == 40);
  CHECK(equal.test.x.cols() == 30);
  CHECK(equal.num_experts == num_tasks / 4);
  REQUIRE(equal.group.size() == static_cast<std::size_t>(num_tasks));
  for (std::size_t t = 0; t < equal.group.size(); ++t) {
    CHECK(equal.group[t] == static_cast<Index>(t) / 16);
  }

  options.grouping = Grouping::doubling;
  const auto doubling = make_synthetic_tasks(options);
  std::vector<Index> tasks_of_group;
  for (Index group : doubling.group) {
    tasks_of_group.resize(static_cast<std::size_t>(group) + 1, 0);
    ++tasks_of_group[static_cast<std::size_t>(group)];
  }
  std::vector<Index> expected = {16, 16, 32, 64};
  expected.resize(tasks_of_group.size());
  CHECK(tasks_of_group == expected);
  CHECK(doubling.num_experts == 4 * static_cast<Index>(expected.size()));
  CHECK(doubling.train.targets.allFinite());
}

TEST_CASE("synthetic: task weights are on the simplex, correlated within a group as asked") {
  SyntheticOptions options = small(16);
  options.num_train = options.num_validation = options.num_test = 1;
  // Logits are known up to a constant per task, so correlations are taken of differences of two
  // experts' logits, which have the same one. 300 groups: standard error about (1 - c^2) /
  // sqrt(300).
  options.correlation = GENERATE(0.0, 0.8, 1.0);
  double product = 0, square = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    options.seed = seed;
    const Matrix<double> weights = make_synthetic_tasks(options).task_weights;
    CHECK((weights.array() > 0).all());
    CHECK((weights.colwise().sum().array() - 1).abs().maxCoeff() < 1e-15 * 8);
    auto difference = [&](Index task) { return std::log(weights(0, task) / weights(1, task)); };
    product += difference(3) * difference(11);
    square += difference(3) * difference(3);
  }
  const double c = options.correlation;
  CHECK_THAT(product / square, WithinAbs(c, 4 * (1 - c * c) / std::sqrt(300.0) + 1e-12));
  CHECK_THAT(square / 300, WithinAbs(2, 4 * 2 * std::sqrt(2.0 / 300)));  // two logits of variance 1
}

TEST_CASE("synthetic: targets are the weighted sums of the group's ReLU experts") {
  SyntheticOptions options = small(64);
  options.grouping = GENERATE(Grouping::equal, Grouping::doubling);
  options.experts_per_group = 3;
  options.units_per_expert = 2;
  const auto data = make_synthetic_tasks(options);
  REQUIRE(data.unit_weights.cols() == data.num_experts * 2);
  for (const Examples* examples : {&data.train, &data.validation, &data.test}) {
    for (Index b = 0; b < examples->x.cols(); b += 7) {
      for (Index t = 0; t < 64; ++t) {
        double target = 0;
        for (Index i = 0; i < 3; ++i) {
          double expert = 0;
          for (Index u = 0; u < 2; ++u) {
            const Index unit = (data.group[static_cast<std::size_t>(t)] * 3 + i) * 2 + u;
            double activation = 0;
            for (Index p = 0; p < 10; ++p) {
              activation += data.unit_weights(p, unit) * double(examples->x(p, b));
            }
            expert += activation > 0 ? activation : 0;
          }
          target += data.task_weights(i, t) * expert;
        }
        const double got = examples->targets(t, b);
        if (std::abs(got - target) > 1e-7 * (1 + target))
          FAIL(got << " is not " << target);  // float
      }
    }
  }
}

TEST_CASE("synthetic: the statistics that the construction implies") {
  SyntheticOptions options = small(128);
  options.num_train = 4000;
  const auto data = make_synthetic_tasks(options);
  // x: 40,000 standard normals
  const Matrix<double> x = data.train.x.cast<double>();
  CHECK_THAT(x.mean(), WithinAbs(0, 4 / std::sqrt(40'000.0)));
  CHECK_THAT(x.array().square().mean(), WithinAbs(1, 4 * std::sqrt(2 / 40'000.0)));
  // An expert's mean is 4 |w| / sqrt(2 pi), |w| near sqrt(10): 4.9 on average over weights, and
  // each of 128 units moves it by a fifth.
  CHECK_THAT(double(data.train.targets.mean()), WithinAbs(4.92, 0.5));
}

TEST_CASE("synthetic: a set depends on its seed, not on sizes; more tasks begin with the fewer") {
  const auto data = make_synthetic_tasks(small(32));
  SyntheticOptions options = small(64);
  options.num_train = 600;
  options.num_validation = 50;
  const auto more = make_synthetic_tasks(options);
  CHECK(more.train.x.leftCols(500) == data.train.x);
  CHECK(more.test.x == data.test.x);
  CHECK(more.task_weights.leftCols(32) == data.task_weights);
  // A product over more columns may round otherwise, by an ulp of the largest targets.
  CHECK((more.train.targets.topLeftCorner(32, 500) - data.train.targets).cwiseAbs().maxCoeff() <
        4e-6f);
  CHECK(make_synthetic_tasks(small(32)).train.targets == data.train.targets);
  options.seed = 1;
  CHECK(make_synthetic_tasks(options).train.x.leftCols(500) != data.train.x);
  CHECK(data.train.x.leftCols(30) != data.test.x);
}

TEST_CASE("synthetic: options out of range are refused") {
  auto refuse = [](auto change) {
    SyntheticOptions options = small();
    change(options);
    return message_of<config_error>([&] { make_synthetic_tasks(options); });
  };
  using Options = SyntheticOptions&;
  for (Index wrong : {0, -16, 8, 24, 48}) {
    CHECK(refuse([&](Options o) { o.num_tasks = wrong; }) ==
          "SyntheticOptions: num_tasks: expected 16, 32, 64, 128, ..., got " +
              std::to_string(wrong));
  }
  const std::string one = ": expected >= 1, got 0", name = "SyntheticOptions: ";
  CHECK(refuse([](Options o) { o.num_train = 0; }) == name + "num_train" + one);
  CHECK(refuse([](Options o) { o.num_validation = 0; }) == name + "num_validation" + one);
  CHECK(refuse([](Options o) { o.num_test = 0; }) == name + "num_test" + one);
  CHECK(refuse([](Options o) { o.in_features = 0; }) == name + "in_features" + one);
  CHECK(refuse([](Options o) { o.experts_per_group = 0; }) == name + "experts_per_group" + one);
  CHECK(refuse([](Options o) { o.units_per_expert = 0; }) == name + "units_per_expert" + one);
  CHECK(refuse([](Options o) { o.correlation = 1.5; }) ==
        name + "correlation: expected in [0, 1], got 1.5");
  CHECK(refuse([](Options o) { o.correlation = std::numeric_limits<double>::quiet_NaN(); }) ==
        name + "correlation: expected in [0, 1], got nan");
}

TEST_CASE("synthetic: experts above a threshold") {
  Matrix<float> weights(3, 2);
  weights << 0.6f, 0.0f,  //
      1e-3f, 0.0f,        //
      0.4f, 0.0f;
  CHECK(selected_experts(weights) == Sets{{0, 2}, {}});
  CHECK(selected_experts(weights, 0.5f) == Sets{{0}, {}});
}

TEST_CASE("synthetic: Jaccard index") {
  using Set = std::vector<Index>;
  CHECK(jaccard(Set{1, 4, 7}, Set{1, 4, 7}) == 1);
  CHECK(jaccard(Set{1, 4, 7}, Set{0, 2}) == 0);
  CHECK(jaccard(Set{1, 4, 7}, Set{4, 7, 9}) == 0.5);
  CHECK(jaccard(Set{4}, Set{1, 2, 3, 4}) == 0.25);
  CHECK(jaccard(Set{}, Set{1}) == 0);
  CHECK(jaccard(Set{}, Set{}) == 1);
}

TEST_CASE("synthetic: mean Jaccard index of related and unrelated tasks") {
  const Sets selected = {{0, 1}, {0, 1}, {0, 2}, {2, 3}};
  const std::vector<Index> group = {0, 0, 1, 1};
  const auto mean = mean_jaccard(selected, group);
  CHECK(mean.related == (1.0 + 1.0 / 3) / 2);
  CHECK(mean.unrelated == (1.0 / 3 + 0 + 1.0 / 3 + 0) / 4);

  CHECK(mean_jaccard(selected, std::vector<Index>{0, 0, 0, 0}).unrelated == std::nullopt);
  CHECK(mean_jaccard(selected, std::vector<Index>{0, 1, 2, 3}).related == std::nullopt);
  CHECK_THROWS_AS(mean_jaccard(selected, std::vector<Index>{0, 0, 1}), shape_error);
}
