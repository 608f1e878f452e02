// SPDX-License-Identifier: MIT
#include <selgate/math/smooth_step.hpp>

#include <selgate/core/random.hpp>
#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"
#include "limits.hpp"

#include <cmath>
#include <limits>

using namespace selgate;
using Catch::Matchers::WithinAbs;
using selgate::test::eps;
using selgate::test::infinity;

namespace {

/// |a - b| in units of eps |b|.
template <class S>
double relative_error(S a, long double b) {
  return static_cast<double>(std::abs(static_cast<long double>(a) - b) / std::abs(b)) /
         static_cast<double>(eps<S>);
}

}  // namespace

TEST_CASE("smooth_step: golden values") {
  const double at[] = {-.6, -.5, -.25, 0, .1, .25, .5, .7};
  const double expected[] = {0, 0, .15625, .5, .648, .84375, 1, 1};
  for (int i = 0; i < 8; ++i) {
    CHECK_THAT(smooth_step(at[i], 1.0).value(), WithinAbs(expected[i], 2e-16));
    CHECK_THAT(smooth_step(at[i], 1.0).complement(), WithinAbs(1 - expected[i], 2e-16));
  }
  CHECK_THAT(smooth_step(1.0, 10.0).value(), WithinAbs(.648, 2e-16));
}

TEMPLATE_TEST_CASE("smooth_step: equals the cubic of the paper", "", float, double, long double) {
  using S = TestType;
  const S gamma = GENERATE(S(0.1), S(1), S(10));
  Rng rng(1);
  for (int i = 0; i < 1000; ++i) {
    const S t = gamma * static_cast<S>(rng.uniform(-0.5, 0.5));
    const long double u = static_cast<long double>(t) / static_cast<long double>(gamma);
    const long double cubic = -2 * u * u * u + 3 * u / 2 + 0.5L;
    const SmoothStep<S> step = smooth_step(t, gamma);
    CHECK(std::abs(static_cast<long double>(step.value()) - cubic) <= 4 * eps<S>);
    CHECK(std::abs(step.value() + step.complement() - S(1)) <= 4 * eps<S>);
  }
}

TEMPLATE_TEST_CASE("smooth_step: keeps every digit next to the edges", "", float, double) {
  using S = TestType;
  // delta = 1/2 - |t| is exact, so that s = 3 delta^2 - 2 delta^3 has no cancellation.
  for (int i = 2; i < std::numeric_limits<S>::digits; ++i) {
    const S delta = std::ldexp(S(1), -i);
    const long double d = static_cast<long double>(delta), s = d * d * (3 - 2 * d);
    const SmoothStep<S> low = smooth_step(delta - S(0.5), S(1)),
                        high = smooth_step(S(0.5) - delta, S(1));
    for (const S tiny : {low.value(), high.complement()}) CHECK(relative_error(tiny, s) <= 2);
    for (const S tiny : {low.logs().value, high.logs().complement}) {
      CHECK(relative_error(tiny, std::log(s)) <= 4);
    }
    for (const S tiny : {low.logs().complement, high.logs().value}) {
      CHECK(relative_error(tiny, std::log1p(-s)) <= 4);
    }
    for (const S odds : {low.log_odds(), -high.log_odds()}) {
      CHECK(relative_error(odds, std::log1p(-s) - std::log(s)) <= 8);
    }
    CHECK(relative_error(low.slope(S(1)), 6 * d * (1 - d)) <= 2);
  }
  CHECK(smooth_step(S(0), S(1)).log_odds() == S(0));
}

TEMPLATE_TEST_CASE("smooth_step: binary at the edge and beyond, fractional one ulp inside", "",
                   float, double, long double) {
  using S = TestType;
  const S gamma = GENERATE(S(0.1), S(1), S(3), S(1e-30), S(1e30));
  const S edge = gamma / 2, inside = std::nextafter(edge, S(0)),
          outside = std::nextafter(edge, infinity<S>);
  for (const S t : {edge, outside, 2 * edge, infinity<S>}) {
    const SmoothStep<S> one = smooth_step(t, gamma), zero = smooth_step(-t, gamma);
    CHECK(one.is_one());
    CHECK(zero.is_zero());
    CHECK((one.is_binary() && zero.is_binary() && !one.is_zero() && !zero.is_one()));
    CHECK(
        (one.value() == 1 && one.complement() == 0 && zero.value() == 0 && zero.complement() == 1));
    CHECK((one.slope(gamma) == 0 && !std::signbit(one.slope(gamma))));
    CHECK((zero.slope(gamma) == 0 && !std::signbit(zero.slope(gamma))));
  }
  for (const S t : {inside, -inside}) {
    CHECK(!smooth_step(t, gamma).is_binary());
    CHECK(smooth_step(t, gamma).slope(gamma) > 0);
  }
}

TEST_CASE("smooth_step: S rounds to 1 long before its bit is binary") {
  float t = std::nextafter(0.5f, 0.0f);
  int rounded = 0;
  for (; smooth_step(t, 1.0f).value() == 1; t = std::nextafter(t, 0.0f)) {
    const SmoothStep<float> bit = smooth_step(t, 1.0f);
    REQUIRE((!bit.is_binary() && bit.slope(1.0f) > 0 && bit.complement() > 0));
    ++rounded;
  }
  CHECK(rounded > 1000);
}

TEST_CASE("smooth_step: the slope is the derivative") {
  const double gamma = GENERATE(0.1, 1.0, 10.0);
  auto value = [&]<class T>(const Vector<T>& t) { return smooth_step(t[0], T(gamma)).value(); };
  auto complement = [&]<class T>(const Vector<T>& t) {
    return smooth_step(t[0], T(gamma)).complement();
  };
  auto entropy = [&]<class T>(const Vector<T>& t) {
    const SmoothStep<T> bit = smooth_step(t[0], T(gamma));
    return -(bit.value() * bit.logs().value + bit.complement() * bit.logs().complement);
  };
  for (const double u : {-0.6, -0.5, -0.499, -0.2, 0.0, 0.3, 0.4999, 0.5, 2.0}) {
    const double t = u * gamma;
    const Vector<double> at = Vector<double>::Constant(1, t);
    const SmoothStep<double> bit = smooth_step(t, gamma);
    const double slope = bit.slope(gamma), tolerance = 4e-16 * 1.5 / gamma;
    CHECK_THAT(dual_derivative(value, at, 0), WithinAbs(slope, 4 * tolerance));
    CHECK_THAT(dual_derivative(complement, at, 0), WithinAbs(-slope, 4 * tolerance));
    if (bit.is_binary()) continue;
    CHECK_THAT(dual_derivative(entropy, at, 0), WithinAbs(slope * bit.log_odds(), 20 * tolerance));
  }
}

TEMPLATE_TEST_CASE("smooth_step: extreme widths and NaN", "", float, double) {
  using S = TestType;
  const S tiny = std::numeric_limits<S>::denorm_min(), huge = (std::numeric_limits<S>::max)();
  CHECK(smooth_step(S(0), tiny).value() == S(0.5));
  CHECK(smooth_step(tiny, tiny).is_one());
  CHECK(smooth_step(huge, tiny).is_one());
  CHECK(smooth_step(S(1), huge).value() == S(0.5));
  CHECK(smooth_step(huge, huge).is_one());
  const SmoothStep<S> nan = smooth_step(std::numeric_limits<S>::quiet_NaN(), S(1));
  CHECK((std::isnan(nan.v) && std::isnan(nan.w) && !nan.is_binary()));
}

TEMPLATE_TEST_CASE("hard_step: 1 above 0, else 0", "", float, double) {
  using S = TestType;
  const S tiny = std::numeric_limits<S>::denorm_min();
  for (const S t : {tiny, S(1), infinity<S>}) CHECK(hard_step(t).is_one());
  for (const S t : {S(0), -S(0), -tiny, S(-1)}) CHECK(hard_step(t).is_zero());
  CHECK(hard_step(-infinity<S>).is_zero());
  CHECK(std::isnan(hard_step(std::numeric_limits<S>::quiet_NaN()).v));
}

TEMPLATE_TEST_CASE("for_each_bit: each bit once, in order, with the bits it has alone", "", float,
                   double, long double) {
  using S = TestType;
  using Pack = typename kernel::Lanes<S>::Element;
  Rng rng(1);
  for (const Index count : {0, 1, 3, 4, 5, 16, 17, 40}) {
    std::vector<SmoothStep<S>> bits(static_cast<std::size_t>(count));
    for (auto& bit : bits) bit = smooth_step(S(rng.uniform(-0.6, 0.6)), S(1));
    const auto f = [](const auto& bit) { return bit.value(); };
    Index seen = 0;
    for_each_bit(bits.data(), count, f, [&](Index b, const S& value) {
      const auto& [v, w] = bits[static_cast<std::size_t>(b)];
      const SmoothStep<Pack> alone{kernel::broadcast<Pack>(v), kernel::broadcast<Pack>(w)};
      CHECK(value == kernel::get_lane(alone.value(), 0));
      CHECK(b == seen++);
    });
    CHECK(seen == count);
  }
}
