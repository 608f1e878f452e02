// SPDX-License-Identifier: MIT
#include <selgate/math/softmax.hpp>

#include <selgate/core/random.hpp>
#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"
#include "limits.hpp"
#include "vector.hpp"

#include <cmath>
#include <limits>

using namespace selgate;
using selgate::test::eps;
using selgate::test::infinity;
using selgate::test::vector;

namespace {

template <class S>
bool try_softmax(const Vector<S>& z, Vector<S>& p, S temperature = S(1)) {
  p.resize(z.size());
  return softmax(z.data(), z.size(), p.data(), temperature);
}
template <class S>
Vector<S> softmax_of(const Vector<S>& z, S temperature = S(1)) {
  Vector<S> p;
  CHECK(try_softmax(z, p, temperature));
  return p;
}

}  // namespace

TEMPLATE_TEST_CASE("softmax: equals its definition", "", float, double) {
  using S = TestType;
  const Index n = GENERATE(1, 2, 3, 7, 8, 9, 16, 17, 33);
  const S temperature = GENERATE(S(1), S(0.25), S(3));
  Rng rng(static_cast<std::uint64_t>(n));
  for (int repeat = 0; repeat < 20; ++repeat) {
    const Vector<S> z = uniform<S>(n, 1, rng, -8, 8);
    const Vector<S> p = softmax_of(z, temperature);
    const Vector<long double> exact =
        (z.template cast<long double>() / static_cast<long double>(temperature)).array().exp();
    // (z - max) / temperature is off by 1 eps of at most 64, exp by 2, the sum by n eps / 2.
    const auto tolerance = static_cast<long double>(eps<S>) * (70 + static_cast<long double>(n));
    for (Index e = 0; e < n; ++e) {
      const long double expected = exact[e] / exact.sum();
      CHECK(std::abs(static_cast<long double>(p[e]) - expected) <= tolerance * expected);
    }
    CHECK(std::abs(p.sum() - S(1)) <= static_cast<S>(n) * eps<S>);
  }
}

TEMPLATE_TEST_CASE("softmax: a shift that is exact changes no bit, and p may be z", "", float,
                   double) {
  Rng rng(1);
  Vector<TestType> z(9);
  for (TestType& at : z) at = static_cast<TestType>(rng.below(512)) / 64;
  const Vector<TestType> p = softmax_of(z);
  const Vector<TestType> shifted = z.array() + TestType(16);
  CHECK(softmax_of(shifted) == p);
  CHECK(softmax(z.data(), z.size(), z.data()));
  CHECK(z == p);
}

TEMPLATE_TEST_CASE("softmax: -inf weighs exactly 0, and the rest is as without it", "", float,
                   double) {
  using S = TestType;
  const Vector<S> p = softmax_of(vector<S>({-infinity<S>, 1, -infinity<S>, 2, 0}));
  const Vector<S> rest = softmax_of(vector<S>({1, 2, 0}));
  CHECK(p == vector<S>({0, rest[0], 0, rest[1], rest[2]}));
  CHECK((!std::signbit(p[0]) && !std::signbit(p[2])));
}

TEMPLATE_TEST_CASE("softmax: largest spreads and coldest temperature", "", float, double) {
  using S = TestType;
  const S huge = (std::numeric_limits<S>::max)();
  CHECK(softmax_of(vector<S>({-huge, huge, 0})) == vector<S>({0, 1, 0}));
  CHECK(softmax_of(vector<S>({huge, huge})) == vector<S>({0.5, 0.5}));
  const S cold = S(1e-16);
  CHECK(softmax_of(vector<S>({S(0.1), S(0.2), S(-3)}), cold) == vector<S>({0, 1, 0}));
  CHECK(softmax_of(vector<S>({S(0.2), S(0.1), S(0.2)}), cold) == vector<S>({0.5, 0, 0.5}));
  CHECK(softmax_of(vector<S>({-huge, huge, 0}), cold) == vector<S>({0, 1, 0}));
}

TEMPLATE_TEST_CASE("softmax: says where there is none", "", float, double) {
  using S = TestType;
  const S nan = std::numeric_limits<S>::quiet_NaN(), inf = infinity<S>;
  Vector<S> p;
  for (const auto& z : {vector<S>({nan, 0, 1}), vector<S>({0, nan, 1}), vector<S>({0, 1, nan}),
                        vector<S>({0, inf, 1}), vector<S>({-inf, -inf}), vector<S>({inf, -inf})}) {
    CHECK(!try_softmax(z, p));
    CHECK(!try_softmax(z, p, S(0.5)));
  }
}

TEST_CASE("softmax: gradient") {
  const Index n = GENERATE(1, 2, 5, 9);
  const double temperature = GENERATE(1.0, 0.25);
  Rng rng(static_cast<std::uint64_t>(n));
  const Vector<double> z = uniform<double>(n, 1, rng, -2, 2), dp = uniform<double>(n, 1, rng);
  auto objective = [&]<class T>(const Vector<T>& at) {
    Vector<T> p(n);
    softmax(at.data(), n, p.data(), T(temperature));
    T sum(0);
    for (Index e = 0; e < n; ++e) sum += p[e] * T(dp[e]);
    return sum;
  };
  const Vector<double> p = softmax_of(z, temperature);
  Vector<double> dz = Vector<double>::Ones(n);
  softmax_gradient(p.data(), dp.data(), n, dz.data(), temperature);
  CHECK((dz.array() - 1 - dual_gradient(objective, z).array()).abs().maxCoeff() <= 1e-14);
  if (n == 1) CHECK(dz[0] == 1);
}
