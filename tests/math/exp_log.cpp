// SPDX-License-Identifier: MIT
#include <selgate/math/exp_log.hpp>

#include <selgate/core/random.hpp>
#include <selgate/testing/counted.hpp>
#include <selgate/testing/dual.hpp>

#include "catch.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace selgate;

static_assert(selgate::exp(0.0) == 1 && selgate::exp(-0.0f) == 1 && selgate::log(1.0f) == 0);

namespace {

template <class S>
using Limits = std::numeric_limits<S>;
template <class S>
using Word = typename selgate::detail::ExpLog<S>::Bits;

/// Distance to the true value in units of the last place of that value, as S has it; infinities and
/// NaN must agree, save that within an ulp of the largest number either side will do.
template <class S>
double ulps(S got, long double truth) {
  const S rounded = static_cast<S>(truth);
  if (got == rounded || (std::isnan(got) && std::isnan(rounded))) return 0;
  if (std::isnan(got) || std::isnan(rounded)) return Limits<double>::infinity();
  const long double largest = Limits<S>::max();
  const long double value =
      std::isinf(got) ? std::copysign(largest, static_cast<long double>(got)) : got;
  truth = std::clamp(truth, -largest, largest);
  int exponent = 0;
  std::frexp(truth, &exponent);
  exponent = std::max(exponent, Limits<S>::min_exponent);
  return static_cast<double>(std::abs(value - truth) /
                             std::ldexp(1.0L, exponent - Limits<S>::digits));
}

/// Any bit pattern, and numbers evenly spread over low..high.
template <class S>
S draw(Rng& rng, int i, double low, double high) {
  return i % 2 == 0 ? std::bit_cast<S>(static_cast<Word<S>>(rng.bits64()))
                    : static_cast<S>(rng.uniform(low, high));
}

template <class S, class Ours, class Truth>
void check_range(const Ours& ours, const Truth& truth, double low, double high) {
  Rng rng(std::bit_cast<std::uint64_t>(high));  // other bit patterns for each range
  double worst = 0;
  S at = 0;
  for (int i = 0; i < 250'000; ++i) {
    const S x = draw<S>(rng, i, low, high);
    const double error = ulps(ours(x), truth(static_cast<long double>(x)));
    if (!(error <= worst)) {
      worst = error;
      at = x;
    }
  }
  INFO("worst at " << at);
  CHECK(worst <= 2);
}

}  // namespace

TEMPLATE_TEST_CASE("exp_log: within 2 ulp", "", float, double) {
  using S = TestType;
  const double tiny = static_cast<double>(Limits<S>::min());
  const double underflow = std::log(tiny),
               overflow = std::log(static_cast<double>(Limits<S>::max()));
  const double zero = underflow - std::log(2.0) * Limits<S>::digits - 1;
  auto check = [](auto ours, auto truth, double low, double high) {
    check_range<S>(ours, truth, low, high);
  };
  SECTION("exp") {
    auto ours = [](S x) { return selgate::exp(x); };
    auto truth = [](long double x) { return std::exp(x); };
    check(ours, truth, -1, 1);
    check(ours, truth, underflow, overflow);
    check(ours, truth, zero, underflow);  // results are denormal
    check(ours, truth, overflow - 1e-3, overflow + 1e-3);
  }
  SECTION("log") {
    auto ours = [](S x) { return selgate::log(x); };
    auto truth = [](long double x) { return std::log(x); };
    check(ours, truth, 0.5, 2);
    check(ours, truth, 0.999, 1.001);
    check(ours, truth, 0, tiny);  // arguments are denormal
    check(ours, truth, 0, 1e30);
  }
  SECTION("log1p") {
    auto ours = [](S x) { return selgate::log1p(x); };
    auto truth = [](long double x) { return std::log1p(x); };
    check(ours, truth, -1, 1);
    check(ours, truth, -1e-3, 1e-3);
    check(ours, truth, -1e-7, 1e-7);
    check(ours, truth, 0, 1e30);
  }
}

TEMPLATE_TEST_CASE("exp_log: edges", "", float, double) {
  using S = TestType;
  const S inf = Limits<S>::infinity(), nan = Limits<S>::quiet_NaN(), largest = Limits<S>::max();
  for (S x : {-inf, -largest, S(-750)}) {
    CHECK(std::bit_cast<Word<S>>(selgate::exp(x)) == 0);  // +0
  }
  for (S x : {inf, largest, S(750)}) CHECK(selgate::exp(x) == inf);
  CHECK(selgate::exp(S(0)) == 1);
  CHECK(selgate::exp(Limits<S>::denorm_min()) == 1);
  CHECK(selgate::exp(std::log(largest) * (1 - Limits<S>::epsilon())) < inf);
  CHECK(selgate::exp(std::log(Limits<S>::denorm_min())) == Limits<S>::denorm_min());

  CHECK(selgate::log(S(0)) == -inf);
  CHECK(selgate::log(-S(0)) == -inf);
  CHECK(selgate::log(S(1)) == 0);
  CHECK(selgate::log(inf) == inf);
  CHECK(selgate::log1p(S(-1)) == -inf);
  CHECK(selgate::log1p(inf) == inf);
  CHECK(selgate::log1p(S(0)) == 0);
  CHECK(selgate::log1p(-Limits<S>::denorm_min()) == -Limits<S>::denorm_min());
  for (S x : {-Limits<S>::denorm_min(), S(-1), -largest, -inf}) CHECK(std::isnan(selgate::log(x)));
  for (S x : {S(-1) - Limits<S>::epsilon(), -largest, -inf}) CHECK(std::isnan(selgate::log1p(x)));
  CHECK(std::isnan(selgate::exp(nan)));
  CHECK(std::isnan(selgate::log(nan)));
  CHECK(std::isnan(selgate::log1p(nan)));
}

TEMPLATE_TEST_CASE("exp_log: the same bits alone and in a loop", "", float, double) {
  using S = TestType;
  constexpr std::size_t size = 70;
  Rng rng(1);
  std::vector<S> x(size), alone(size), loop(size);
  for (std::size_t i = 0; i < size; ++i) x[i] = static_cast<S>(rng.uniform(-3, 3));
  x[11] = -Limits<S>::infinity(), x[23] = 100, x[47] = Limits<S>::denorm_min();

  auto check = [&](auto function) {
    S (*volatile one)(S) = function;  // a call that the compiler cannot put into the loop
    for (std::size_t i = 0; i < size; ++i) alone[i] = one(x[i]);
    for (std::size_t first = 0; first < 9; ++first) {
      for (std::size_t last = first; last <= size; ++last) {
        for (std::size_t i = first; i < last; ++i) loop[i] = function(x[i]);
        for (std::size_t i = first; i < last; ++i) {
          if (std::bit_cast<Word<S>>(loop[i]) != std::bit_cast<Word<S>>(alone[i]) &&
              !(std::isnan(loop[i]) && std::isnan(alone[i]))) {
            FAIL("x = " << x[i] << " at " << i << " in " << first << ".." << last);
          }
        }
      }
    }
    SUCCEED();
  };
  check([](S v) { return selgate::exp(v); });
  check([](S v) { return selgate::log(v); });
  check([](S v) { return selgate::log1p(v); });
}

TEST_CASE("exp_log: other scalars use their own functions") {
  volatile long double at_run_time = 0.3L;  // compilers fold better than libraries compute
  const long double y = at_run_time;
  CHECK(selgate::exp(y) == std::exp(y));
  CHECK(selgate::log(y) == std::log(y));
  CHECK(selgate::log1p(y) == std::log1p(y));
  const Dual<double> x{0.5, 1};
  CHECK(selgate::exp(x).derivative == std::exp(0.5));
  CHECK(selgate::log(x).derivative == 2);
  CHECK(selgate::log1p(x).derivative == 1 / 1.5);
  Counted::reset();
  (void)selgate::exp(Counted(1)), (void)selgate::log(Counted(1)), (void)selgate::log1p(Counted(1));
  CHECK(Counted::count() == 3);
}

TEMPLATE_TEST_CASE("exp_log: a pack has the bits of its scalars", "", float, double) {
  using S = TestType;
  using Pack = kernel::Pack<S>;
  constexpr auto lanes = static_cast<std::size_t>(kernel::lane_count<S>);
  Rng rng(5);
  auto check = [&](const auto& f) {
    for (int i = 0; i < 2000; ++i) {
      std::array<S, lanes> x, y;
      for (S& value : x) value = draw<S>(rng, i, -10, 10);
      Pack pack;
      kernel::load<S>(x.data(), pack);
      kernel::store<S>(f(pack), y.data());
      for (std::size_t l = 0; l < lanes; ++l) {
        const S alone = f(x[l]);
        CAPTURE(x[l], alone, y[l]);
        REQUIRE((std::bit_cast<Word<S>>(alone) == std::bit_cast<Word<S>>(y[l]) ||
                 (std::isnan(alone) && std::isnan(y[l]))));
      }
    }
  };
  check([](const auto& v) { return selgate::exp(v); });
  check([](const auto& v) { return selgate::log(v); });
  check([](const auto& v) { return selgate::log1p(v); });
}
