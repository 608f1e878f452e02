// SPDX-License-Identifier: MIT
#include <selgate/gate/dselect_k_head.hpp>

#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"
#include "head_pass.hpp"
#include "spare_code_policies.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace selgate;
using selgate::test::policies;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

namespace {

/// Logits with given selectors: alpha, then a row of bits for each selector.
template <class S>
Matrix<S> logits(const std::vector<S>& alpha, const std::vector<std::vector<S>>& selectors) {
  std::vector<S> all = alpha;
  for (const auto& bits : selectors) all.insert(all.end(), bits.begin(), bits.end());
  return Eigen::Map<const Matrix<S>>(all.data(), static_cast<Index>(all.size()), 1);
}
/// All bits of n experts and k selectors at z, alpha at 0.
template <class S>
Matrix<S> constant_bits(Index n, Index k, S z) {
  const Index m = num_bits(n);
  Matrix<S> all = Matrix<S>::Zero(k + k * m, 1);
  all.bottomRows(k * m).setConstant(z);
  return all;
}
const Context in_training = training(1);

}  // namespace

TEST_CASE("DSelect-k head: golden values") {
  const DSelectKHead<double> four({.num_experts = 4, .k = 2, .entropy_weight = 1});
  const auto a = pass(four, logits<double>({.2, -.1}, {{.1, -.2}, {.3, .05}}),
                      Matrix<double>::Zero(4, 1), {.context = in_training});
  const double expected_four[] = {.177348458, .453982795, .069113286, .299555461};
  for (Index e = 0; e < 4; ++e) CHECK_THAT(a.w(e, 0), WithinAbs(expected_four[e], 1e-9));
  CHECK_THAT(a.regularization, WithinAbs(2.186188471, 1e-9));

  // Published with the most significant bit first.
  const DSelectKHead<double> five({.num_experts = 5, .k = 2});
  const auto b = pass(five, logits<double>({.2, -.1}, {{.3, -.2, .1}, {.2, .05, -.1}}),
                      Matrix<double>::Zero(5, 1), {.context = in_training});
  const double expected_five[] = {.04181666, .233978564, .038776961, .16339283, .044110242};
  for (Index e = 0; e < 5; ++e) CHECK_THAT(b.w(e, 0), WithinAbs(expected_five[e], 1e-9));
  CHECK_THAT(b.regularization, WithinAbs(3.940009434, 1e-9));
}

TEMPLATE_TEST_CASE("DSelect-k head: equals equations (4) and (5), whatever becomes of spare codes",
                   "", float, double) {
  using S = TestType;
  const Index n = GENERATE(range(1, 10), values({16, 17, 33}));
  const Index k = std::min<Index>(3, n), m = num_bits(n), codes = Index{1} << m;
  const SpareCodes policy = GENERATE(from_range(std::begin(policies), std::end(policies)));
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const DSelectKHead<S> head({.num_experts = n, .k = k, .spare_codes = policy, .spare_seed = 3});
  Rng rng(static_cast<std::uint64_t>(n));
  const Matrix<S> z = uniform<S>(head.num_logits(), 10, rng, -0.55, 0.45);
  const Matrix<S> w = weights_of(head, z, storage);
  for (Index c = 0; c < z.cols(); ++c) {
    using L = long double;
    const Vector<L> a = z.col(c).head(k).template cast<L>().array().exp();
    Vector<L> expected = Vector<L>::Zero(n);
    for (Index i = 0; i < k; ++i) {
      Vector<L> r = Vector<L>::Ones(codes);
      for (Index code = 0; code < codes; ++code) {
        for (Index j = 0; j < m; ++j) {
          const SmoothStep<L> bit = smooth_step(static_cast<L>(z(k + i * m + j, c)), L(1));
          r[code] *= (code >> j & 1) != 0 ? bit.value() : bit.complement();
        }
      }
      if (policy == SpareCodes::renormalise) r /= r.head(n).sum();
      for (Index code = 0; code < codes; ++code) {
        const Index e = head.codes().expert_of(code);
        if (e >= 0) expected[e] += a[i] / a.sum() * r[code];
      }
    }
    const L error = (w.col(c).template cast<L>() - expected).cwiseAbs().maxCoeff();
    CHECK(static_cast<double>(error) <=
          16 * static_cast<double>(std::numeric_limits<S>::epsilon()));
    if (policy != SpareCodes::penalty || is_power_of_two(n)) {
      CHECK(head.sums_to_one());
      CHECK(std::abs(expected.sum() - 1) <= 1e-15L);
    }
  }
}

TEMPLATE_TEST_CASE("DSelect-k head: one expert", "", float, double) {
  using S = TestType;
  const DSelectKHead<S> head({.num_experts = 1, .entropy_weight = 1});
  CHECK((head.num_bits() == 0 && head.num_logits() == 1));
  const auto result =
      pass(head, column<S>({S(0.7)}), column<S>({5}), {.context = in_training});
  CHECK(result.w(0, 0) == 1);
  CHECK(result.dlogits(0, 0) == 0);
  CHECK(result.regularization == 0);
}

TEMPLATE_TEST_CASE("DSelect-k head: one selector, whose mix has nothing to learn", "", float,
                   double) {
  using S = TestType;
  Rng rng(1);
  const DSelectKHead<S> head({.num_experts = 6});
  const auto result = pass(head, uniform<S>(4, 9, rng, -.4, .4), uniform<S>(6, 9, rng));
  CHECK((result.dlogits.row(0).array() == S(0)).all());
  CHECK((result.dlogits.bottomRows(3).array() != S(0)).all());
}

TEMPLATE_TEST_CASE("DSelect-k head: with binary bits at most k experts, and a gradient of +0", "",
                   float, double) {
  using S = TestType;
  const Index n = GENERATE(2, 5, 8, 33), k = 2;
  const SpareCodes policy = GENERATE(from_range(std::begin(policies), std::end(policies)));
  const DSelectKHead<S> head(
      {.num_experts = n, .k = k, .entropy_weight = 1, .spare_codes = policy});
  Rng rng(2);
  Matrix<S> z = uniform<S>(head.num_logits(), 50, rng);
  const Index bits = z.rows() - k;
  for (S& at : z.bottomRows(bits).reshaped()) at = at > S(0) ? S(0.5) : S(-0.75);
  const auto result = pass(head, z, uniform<S>(n, 50, rng), {.context = in_training});
  for (Index c = 0; c < 50; ++c) {
    CHECK((result.w.col(c).array() != S(0)).count() <= k);
    for (Index row = k; row < z.rows(); ++row) {
      REQUIRE((result.dlogits(row, c) == 0 && !std::signbit(result.dlogits(row, c))));
    }
  }
}

TEMPLATE_TEST_CASE("DSelect-k head: weights in the simplex, of at most k experts by binary bits",
                   "", float, double) {
  // Proposition 2 of the paper, for n = 2^m.
  using S = TestType;
  const Index n = GENERATE(1, 2, 4, 8, 32);
  const bool binary = GENERATE(false, true);
  Rng rng(static_cast<std::uint64_t>(n));
  for (Index k = 1; k <= std::min<Index>(n, 4); ++k) {
    const DSelectKHead<S> head({.num_experts = n, .k = k});
    Matrix<S> z = uniform<S>(head.num_logits(), 20, rng, -0.6, 0.6);
    if (binary) {
      const Index bits = z.rows() - k;
      for (S& at : z.bottomRows(bits).reshaped()) at = at > S(0) ? S(0.5) : S(-0.5);
    }
    const Matrix<S> w = weights_of(head, z);
    CHECK(w.minCoeff() >= S(0));
    CHECK((w.colwise().sum().array() - S(1)).abs().maxCoeff() <=
          16 * std::numeric_limits<S>::epsilon());
    Index most = 0;
    for (Index c = 0; c < 20; ++c) {
      most = std::max<Index>(most, (w.col(c).array() != S(0)).count());
    }
    if (binary) CHECK(most <= k);
    if (!binary && n > 4) CHECK(most > k);
  }
}

TEMPLATE_TEST_CASE("DSelect-k head: nothing outside the support is read", "", float, double) {
  using S = TestType;
  const SpareCodes policy = GENERATE(from_range(std::begin(policies), std::end(policies)));
  const DSelectKHead<S> head({.num_experts = 11, .k = 2, .spare_codes = policy});
  Rng rng(3);
  Matrix<S> z = uniform<S>(head.num_logits(), 40, rng);  // half of the bits are binary
  Matrix<S> dw = uniform<S>(11, 40, rng);
  const auto expected = pass(head, z, dw);
  Index outside = 0;
  for (Index c = 0; c < 40; ++c) {
    for (Index e = 0; e < 11; ++e) {
      if (expected.w(e, c) != S(0)) continue;
      dw(e, c) = std::numeric_limits<S>::quiet_NaN();
      ++outside;
    }
  }
  REQUIRE(outside > 40);
  const auto result = pass(head, z, dw, {.everywhere = true});
  CHECK(result.dlogits == expected.dlogits);
}

TEMPLATE_TEST_CASE("DSelect-k head: twin selectors stay twins, and count as one expert", "", float,
                   double) {
  using S = TestType;
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const DSelectKHead<S> head({.num_experts = 8, .k = 2, .entropy_weight = 0.1});
  const std::vector<S> bits{S(.1), S(-.2), S(.3)}, frozen{1, -1, 1};
  Rng rng(4);
  const auto twins = pass(head, logits<S>({S(.5), S(.5)}, {bits, bits}), uniform<S>(8, 1, rng),
                          {.context = in_training, .storage = storage});
  CHECK(twins.dlogits.middleRows(2, 3) == twins.dlogits.middleRows(5, 3));
  const auto merged = pass(head, logits<S>({S(.5), S(-.5)}, {frozen, frozen}),
                           uniform<S>(8, 1, rng), {.storage = storage});
  CHECK((merged.w.array() != S(0)).count() == 1);
  CHECK_THAT(merged.w(5, 0), WithinAbs(1, 1e-7));
  if (storage == Storage::routing) CHECK(merged.weights.routing().num_entries() == 1);
}

TEMPLATE_TEST_CASE("DSelect-k head: all bits at 0 spread the weight evenly", "", float, double) {
  using S = TestType;
  const DSelectKHead<S> head({.num_experts = 8, .k = 3, .entropy_weight = 1});
  const auto result = pass(head, constant_bits<S>(8, 3, 0), Matrix<S>::Zero(8, 1),
                           {.context = in_training});
  for (Index e = 0; e < 8; ++e) CHECK_THAT(result.w(e, 0), WithinAbs(0.125, 1e-7));
  CHECK(result.dlogits.isZero(0));  // of the entropy, by symmetry
  CHECK_THAT(result.regularization, WithinAbs(3 * std::log(8.0), 1e-6));
}

TEMPLATE_TEST_CASE("DSelect-k head: a selector frozen on a code without expert", "", float,
                   double) {
  using S = TestType;
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const Matrix<S> z = constant_bits<S>(5, 1, S(0.5));  // code 7
  const auto penalty = pass(DSelectKHead<S>({.num_experts = 5, .penalty_weight = 2}), z,
                            Matrix<S>::Ones(5, 1), {.context = in_training, .storage = storage});
  CHECK(penalty.w.isZero(0));
  CHECK(penalty.dlogits.isZero(0));
  CHECK_THAT(penalty.regularization, WithinAbs(2e6, 1));  // xi / 1e-6
  const auto renormalised =
      pass(DSelectKHead<S>({.num_experts = 5, .spare_codes = SpareCodes::renormalise}), z,
           Matrix<S>::Ones(5, 1), {.context = in_training, .storage = storage});
  CHECK(renormalised.w.isZero(0));
  CHECK(renormalised.regularization == 0);
  const auto folded = pass(DSelectKHead<S>({.num_experts = 5, .spare_codes = SpareCodes::fold}), z,
                           Matrix<S>::Ones(5, 1), {.storage = storage});
  CHECK(folded.w == column<S>({0, 0, 0, 1, 0}));
}

TEMPLATE_TEST_CASE("DSelect-k head: the penalty is finite next to mass 0", "", float, double) {
  using S = TestType;
  const S inside = GENERATE(S(0.4999), S(0.49999), S(0.4995), S(0.499999));
  const DSelectKHead<S> head({.num_experts = 5});
  const auto result = pass(head, constant_bits<S>(5, 1, inside), Matrix<S>::Zero(5, 1),
                           {.context = in_training});
  PerBit<SmoothStep<S>> bits;
  bits.fill(smooth_step(inside, S(1)));
  const S mass = reachable_mass(Index{5}, bits.data(), 3);
  REQUIRE(mass > 0);
  CHECK(result.dlogits.allFinite());
  CHECK(result.regularization <= 1.000001 / mass_floor);
  // S' = 6 v w <= 6 sqrt(mass), as the highest bit alone leaves the experts w^2 (3 - 2w) >= w^2.
  CHECK(result.dlogits.cwiseAbs().maxCoeff() <= S(6 * std::pow(mass_floor, -1.5)));
  if (mass < S(mass_floor)) {
    CHECK(result.dlogits.isZero(0));
  } else {
    CHECK(result.dlogits.bottomRows(3).maxCoeff() > 0);  // descent leads back to the experts
  }
}

TEST_CASE("DSelect-k head: regularizers are of training, and scale with the context") {
  const DSelectKOptions options{
      .num_experts = 5, .k = 2, .entropy_weight = 0.3, .penalty_weight = 0.7};
  const Matrix<double> z = logits<double>({0, 1}, {{.1, .2, .3}, {-.1, .4, 0}}),
                       none = Matrix<double>::Zero(5, 1);
  auto run = [&](double lambda, double xi, const HeadPassOptions& how) {
    DSelectKOptions changed = options;
    changed.entropy_weight = lambda;
    changed.penalty_weight = xi;
    return pass(DSelectKHead<double>(changed), z, none, how);
  };
  const auto entropy = run(1, 0, {.context = in_training}),
             penalty = run(0, 1, {.context = in_training});
  Context context = in_training;
  context.entropy_factor = 2;
  context.penalty_factor = 3;
  const auto both = run(0.3, 0.7, {.context = context, .scale = 0.5});
  CHECK_THAT(both.regularization,
             WithinAbs(0.5 * (0.6 * entropy.regularization + 2.1 * penalty.regularization), 1e-14));
  CHECK((both.dlogits - 0.5 * (0.6 * entropy.dlogits + 2.1 * penalty.dlogits))
            .cwiseAbs()
            .maxCoeff() <= 1e-14);
  CHECK(run(0.3, 0.7, {}).regularization == 0);
  CHECK(run(0.3, 0.7, {}).dlogits.isZero(0));
  CHECK(run(0, 0, {.context = in_training}).regularization == 0);
  CHECK(run(0, 0, {.context = in_training}).dlogits.isZero(0));
  // Fold and renormalise lose no mass, so that there is nothing to penalise.
  CHECK(pass(DSelectKHead<double>({.num_experts = 5, .spare_codes = SpareCodes::fold}),
             z.topRows(4), none, {.context = in_training})
            .regularization == 0);
}

TEMPLATE_TEST_CASE("DSelect-k head: hardened, at most k experts whatever the logits", "", float,
                   double) {
  using S = TestType;
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  DSelectKHead<S> head({.num_experts = 8, .k = 2, .entropy_weight = 1});
  CHECK(!head.hardened());
  head.harden();
  CHECK(head.hardened());
  head.harden(false);
  CHECK(!head.hardened());
  head.harden();
  Rng rng(5);
  Matrix<S> z = uniform<S>(head.num_logits(), 30, rng, -0.4, 0.4);
  z.col(0).setZero();  // code 0
  z.col(1).bottomRows(6).setConstant(-std::numeric_limits<S>::infinity());
  z.col(2).bottomRows(6).setConstant(std::numeric_limits<S>::infinity());
  const auto result =
      pass(head, z, uniform<S>(8, 30, rng), {.context = in_training, .storage = storage});
  for (Index c = 0; c < 30; ++c) CHECK((result.w.col(c).array() != S(0)).count() <= 2);
  CHECK(result.w.col(0) == column<S>({1, 0, 0, 0, 0, 0, 0, 0}));
  CHECK((result.w(0, 1) > S(0.99) && result.w(7, 2) > S(0.99)));
  CHECK(result.dlogits.bottomRows(6).isZero(0));
  CHECK(result.dlogits.topRows(2).cwiseAbs().maxCoeff() > 0);
  CHECK(result.regularization == 0);
}

TEMPLATE_TEST_CASE("DSelect-k head: no weight in the support underflows to 0", "", float, double) {
  using S = TestType;
  // 2^20 experts, and bits one float inside the edge: a float product of them underflows.
  constexpr Index n = Index{1} << 20;
  const S inside = std::nextafter(S(0.5), S(0)) * S(GENERATE(-1, 1));
  const Matrix<S> z = constant_bits<S>(n, 1, inside);
  const DSelectKHead<S> head({.num_experts = n});
  const Matrix<S> dense = weights_of(head, z);
  CHECK(dense.minCoeff() >= (std::numeric_limits<S>::min)());
  CHECK(dense.sum() == S(1));
  CHECK(weights_of(head, z, Storage::routing) == dense);
}

TEST_CASE("DSelect-k head: small products on few codes do not underflow either") {
  // Sixteen bits one float inside the edge and n = 2^20: the entries are sorted, not added up.
  constexpr Index n = Index{1} << 20;
  Matrix<float> z = constant_bits<float>(n, 1, std::nextafter(0.5f, 0.0f));
  z.bottomRows(4).setConstant(1);
  const DSelectKHead<float> head({.num_experts = n});
  const Matrix<float> routing = weights_of(head, z, Storage::routing);
  CHECK((routing.array() != 0).count() == 1 << 16);
  CHECK(routing == weights_of(head, z));
}

TEST_CASE("DSelect-k head: the cost of a million experts is that of the codes in the support") {
  constexpr Index n = Index{1} << 20, k = 4, m = 20;
  Matrix<float> z = constant_bits<float>(n, k, 1);
  for (Index i = 0; i < k; ++i) z.block(k + i * m + 3 + i, 0, 2, 1).setConstant(0.1f);
  const DSelectKHead<float> head({.num_experts = n, .k = k});
  auto cache = head.make_cache(1);
  GateOutput<float> weights(Storage::routing, n, 1);
  head.forward({}, z, weights, cache);
  // All digits 1 but none, one of five, or one of four pairs of neighbours.
  CHECK(weights.routing().num_entries() == 10);
  CHECK(head.flops(1, cache).total() < 1000);
}

TEST_CASE("DSelect-k head: an empty batch, and the width of the step") {
  DSelectKHead<double> head({.num_experts = 4, .k = 2, .entropy_weight = 1});
  const auto empty =
      pass(head, Matrix<double>(6, 0), Matrix<double>(4, 0), {.context = in_training});
  CHECK((empty.w.cols() == 0 && empty.regularization == 0));
  const Matrix<double> z = logits<double>({0, 0}, {{1, -2}, {3, 4}});
  head.set_gamma(10);
  CHECK(weights_of(head, z) ==
        weights_of(DSelectKHead<double>({.num_experts = 4, .k = 2, .gamma = 10}), z));
  CHECK_THROWS_WITH(
      head.set_gamma(0),
      "DSelect-k gate: gamma: expected a finite number > 0 in the gate's scalar type, got 0");
  CHECK(head.options().gamma == 10);
}

TEMPLATE_TEST_CASE("DSelect-k head: the smallest and largest widths", "", float, double) {
  using S = TestType;
  for (const double gamma : {1e-30, 1e30}) {
    const DSelectKHead<S> head({.num_experts = 4, .gamma = gamma});
    const auto z = static_cast<S>(0.25 * gamma);
    const auto result = pass(head, column<S>({0, z, -z}), column<S>({1, 2, 3, 4}));
    const S s = S(0.84375), c = S(0.15625);
    const Matrix<S> expected = column<S>({c * s, s * s, c * c, s * c});
    CHECK((result.w - expected).cwiseAbs().maxCoeff() <= 8 * std::numeric_limits<S>::epsilon());
    CHECK(result.dlogits.allFinite());
  }
}

TEST_CASE("DSelect-k head: says what is wrong with a logit") {
  const double inf = std::numeric_limits<double>::infinity(),
               nan = std::numeric_limits<double>::quiet_NaN();
  const DSelectKHead<double> head({.num_experts = 4, .k = 2});
  Matrix<double> z = Matrix<double>::Zero(6, 2);
  z(3, 1) = nan;
  CHECK_THROWS_WITH(weights_of(head, z),
                    "DSelect-k gate: logit in row 3, column 1: expected a number, got nan");
  z(3, 1) = inf;  // a bit of 1
  CHECK(weights_of(head, z).allFinite());
  z(1, 1) = inf;
  CHECK_THROWS_WITH(weights_of(head, z),
                    "DSelect-k gate: logit in row 1, column 1: expected a finite "
                    "number or -inf, got inf");
  z.col(1).head(2).setConstant(-inf);
  CHECK_THROWS_AS(weights_of(head, z), numeric_error);
  z(1, 1) = 0;  // selector 0 is out
  CHECK(weights_of(head, z).allFinite());
}

TEST_CASE("DSelect-k head: a selector without weight") {
  const double inf = std::numeric_limits<double>::infinity();
  const DSelectKHead<double> head({.num_experts = 4, .k = 2});
  const auto z = logits<double>({-inf, 0}, {{.1, .2}, {1, 1}});
  for (const Storage storage : {Storage::dense, Storage::routing}) {
    const auto result = pass(head, z, column<double>({1, 2, 3, 4}), {.storage = storage});
    CHECK(result.w == column<double>({0, 0, 0, 1}));
    CHECK(result.dlogits.isZero(0));
  }
}

TEST_CASE("DSelect-k head: a cache is made for so many columns") {
  const DSelectKHead<float> head({.num_experts = 3});
  auto cache = head.make_cache(2);
  GateOutput<float> weights(Storage::dense, 3, 3);
  const Matrix<float> z = Matrix<float>::Zero(head.num_logits(), 3);
  CHECK_THROWS_AS(head.forward({}, z, weights, cache), shape_error);
  CHECK_THROWS_WITH(
      head.forward({}, z, weights, cache),
      "DSelect-k gate: columns: expected at most 2, for which the cache was made, got 3");
}

TEST_CASE("DSelect-k head: rejects options out of range") {
  auto make = [](const DSelectKOptions& options) { return DSelectKHead<float>(options); };
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               inf = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(make({.num_experts = 0}), "DSelect-k gate: num_experts: expected >= 1, got 0");
  CHECK_THROWS_WITH(make({.num_experts = 4, .k = 5}),
                    "DSelect-k gate: k: expected 1..4 (num_experts), got 5");
  CHECK_THROWS_AS(make({.num_experts = 4, .k = 0}), config_error);
  CHECK_THROWS_AS(make({.num_experts = 4, .k = -1}), config_error);
  for (const double bad : {0.0, -1.0, nan, inf}) {
    CHECK_THROWS_WITH(make({.num_experts = 4, .gamma = bad}),
                      ContainsSubstring("DSelect-k gate: gamma: expected a finite number > 0"));
  }
  CHECK_THROWS_AS(make({.num_experts = 4, .gamma = 1e-60}), config_error);  // 0 in float
  for (const double bad : {-1.0, nan, inf}) {
    CHECK_THROWS_WITH(make({.num_experts = 4, .entropy_weight = bad}),
                      ContainsSubstring("entropy_weight: expected a finite number >= 0"));
    CHECK_THROWS_WITH(make({.num_experts = 4, .penalty_weight = bad}),
                      ContainsSubstring("penalty_weight: expected a finite number >= 0"));
    CHECK_THROWS_WITH(make({.num_experts = 4, .code_range = bad}), ContainsSubstring("code_range"));
    CHECK_THROWS_WITH(make({.num_experts = 4, .mix_range = bad}), ContainsSubstring("mix_range"));
  }
}

TEST_CASE("DSelect-k head: bit j of selector i, least significant first") {
  const DSelectKHead<double> head({.num_experts = 8, .k = 2, .gamma = 1});
  Vector<double> z(head.num_logits());
  for (Index row = 0; row < z.size(); ++row) z[row] = 0.05 * static_cast<double>(row);
  for (Index i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      CHECK(head.bit(z.data(), i, j).v == smooth_step(z[2 + 3 * i + j], 1.0).v);
    }
  }
}
