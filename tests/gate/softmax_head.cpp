// SPDX-License-Identifier: MIT
#include <selgate/gate/softmax_head.hpp>

#include <selgate/testing/gate_laws.hpp>

#include "catch.hpp"
#include "head_pass.hpp"

#include <limits>

using namespace selgate;

TEST_CASE("softmax head: laws") {
  const Index n = GENERATE(range(1, 10), values({16, 17, 32, 33}));
  const LawReport report = check_head(
      [&](auto scalar, Rng&) { return SoftmaxHead<decltype(scalar)>({.num_experts = n}); });
  INFO(report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("softmax head: one expert", "", float, double) {
  using S = TestType;
  const auto result = pass(SoftmaxHead<S>({.num_experts = 1}), column<S>({S(0.3)}), column<S>({5}));
  CHECK(result.w(0, 0) == 1);
  CHECK(result.dlogits(0, 0) == 0);
}

TEMPLATE_TEST_CASE("softmax head: a logit of -inf is out, exactly", "", float, double) {
  using S = TestType;
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const S inf = std::numeric_limits<S>::infinity();
  const auto all = pass(SoftmaxHead<S>({.num_experts = 5}), column<S>({-inf, 1, -inf, 2, 0}),
                        column<S>({9, 1, 9, 2, 3}), {.storage = storage});
  const auto rest = pass(SoftmaxHead<S>({.num_experts = 3}), column<S>({1, 2, 0}),
                         column<S>({1, 2, 3}), {.storage = storage});
  for (Index e : {0, 2}) {
    CHECK((all.w(e, 0) == 0 && !std::signbit(all.w(e, 0))));
    CHECK(all.dlogits(e, 0) == 0);
  }
  const Index kept[] = {1, 3, 4};
  for (Index i = 0; i < 3; ++i) {
    CHECK(all.w(kept[i], 0) == rest.w(i, 0));
    CHECK(all.dlogits(kept[i], 0) == rest.dlogits(i, 0));
  }
  if (storage == Storage::routing) CHECK(all.weights.routing().num_entries() == 3);
}

TEMPLATE_TEST_CASE("softmax head: what a routing leaves out does not change a bit", "", float,
                   double) {
  using S = TestType;
  const SoftmaxHead<S> head({.num_experts = 40});
  Rng rng(1);
  Matrix<S> z = uniform<S>(40, 20, rng);
  const Matrix<S> dw = uniform<S>(40, 20, rng);
  for (Index c = 1; c < 20; ++c) z((7 * c) % 40, c) = -std::numeric_limits<S>::infinity();
  const auto dense = pass(head, z, dw), sparse = pass(head, z, dw, {.storage = Storage::routing});
  CHECK(sparse.weights.routing().num_entries() == 20 * 39 + 1);
  CHECK(sparse.w == dense.w);
  CHECK(sparse.dlogits == dense.dlogits);
}

TEMPLATE_TEST_CASE("softmax head: the largest logits there are", "", float, double) {
  using S = TestType;
  const S huge = (std::numeric_limits<S>::max)();
  const auto result =
      pass(SoftmaxHead<S>({.num_experts = 3}), column<S>({-huge, huge, 0}), column<S>({1, 2, 3}));
  CHECK(result.w == column<S>({0, 1, 0}));
  CHECK(result.dlogits.isZero(0));
}

TEST_CASE("softmax head: an empty batch") {
  const auto result =
      pass(SoftmaxHead<double>({.num_experts = 3}), Matrix<double>(3, 0), Matrix<double>(3, 0));
  CHECK((result.w.rows() == 3 && result.w.cols() == 0));
}

TEST_CASE("softmax head: says what is wrong with a logit") {
  const SoftmaxHead<double> head({.num_experts = 2});
  const double inf = std::numeric_limits<double>::infinity();
  Matrix<double> z = Matrix<double>::Zero(2, 3);
  z(1, 2) = inf;
  CHECK_THROWS_WITH(weights_of(head, z),
                    "softmax gate: logit in row 1, column 2: expected a finite "
                    "number or -inf, got inf");
  CHECK_THROWS_AS(weights_of(head, z), numeric_error);
  z(1, 2) = -inf;
  z(0, 2) = -inf;
  CHECK_THROWS_WITH(weights_of(head, z),
                    "softmax gate: logits of column 2: expected a finite "
                    "largest logit, got none");
}

TEST_CASE("softmax head: rejects options out of range") {
  auto make = [](const SoftmaxOptions& options) { return SoftmaxHead<float>(options); };
  CHECK_THROWS_AS(make({.num_experts = 0}), config_error);
  CHECK_THROWS_WITH(make({.num_experts = 0}), "softmax gate: num_experts: expected >= 1, got 0");
  CHECK_THROWS_WITH(make({.num_experts = Index{1} << 31}),
                    "softmax gate: num_experts: expected <= 2147483647, got 2147483648");
  CHECK_THROWS_WITH(make({.num_experts = 2, .logit_range = -1}),
                    "softmax gate: logit_range: expected a finite number >= 0, got -1");
}
