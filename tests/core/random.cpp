// SPDX-License-Identifier: MIT
#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <algorithm>
#include <map>
#include <set>

using namespace selgate;
using Catch::Matchers::WithinAbs;

namespace {

using Words = std::array<std::uint32_t, 4>;

/// Pearson's statistic against equal shares.
double chi_square(const std::vector<int>& counts) {
  double total = 0;
  for (int count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  double sum = 0;
  for (int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

/// Means of x, x^2, x^3, x^4.
template <class Draw>
std::array<double, 4> moments(int num_draws, Draw draw) {
  std::array<double, 4> sums{};
  for (int i = 0; i < num_draws; ++i) {
    const double x = draw();
    double power = 1;
    for (double& sum : sums) sum += power *= x;
  }
  for (double& sum : sums) sum /= num_draws;
  return sums;
}

// Bounds on means of n draws are 5 standard errors, sqrt(var/n); those on chi-square its 1 - 1e-6
// quantile. The seeds are fixed, so a correct generator either passes for ever or not at all.
constexpr int num_draws = 200'000;

}  // namespace

TEST_CASE("philox: known answers of the authors' library") {
  // Random123, kat_vectors, philox4x32 with 10 rounds.
  STATIC_REQUIRE(philox(0, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr auto ones = ~std::uint64_t{0};
  STATIC_REQUIRE(philox(ones, ones, ones) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  // Digits of pi: counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0.
  STATIC_REQUIRE(philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88) ==
                 Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("mix_key: SplitMix64's first output, and one more word changes all") {
  STATIC_REQUIRE(mix_key(0, 0) == 0xe220a8397b1dcdaf);
  std::set<std::uint64_t> keys;
  for (std::uint64_t key = 0; key < 100; ++key) {
    for (std::uint64_t word = 0; word < 100; ++word) keys.insert(mix_key(key, word));
  }
  CHECK(keys.size() == 10'000);
}

TEST_CASE("rng: the words of philox under the mixed seed, in order") {
  Rng rng(5), wide(5);
  std::vector<std::uint32_t> words;
  for (std::uint64_t counter = 0; counter < 3; ++counter) {
    for (std::uint32_t word : philox(mix_key(0, 5), 0, counter)) words.push_back(word);
  }
  for (std::uint32_t word : words) CHECK(rng() == word);
  for (std::size_t i = 0; i < words.size(); i += 2) {
    CHECK(wide.bits64() == ((std::uint64_t{words[i]} << 32) | words[i + 1]));
  }
}

TEST_CASE("rng: a copy goes its own way, seeds give other streams") {
  Rng rng(1);
  rng();
  Rng copy = rng;
  const auto next = rng();
  CHECK(copy() == next);
  CHECK(Rng(1)() != Rng(2)());
}

TEST_CASE("uniform: bounds, moments, even shares") {
  Rng rng(11);
  std::vector<int> shares(64);
  double low = 1, high = 0;
  const auto mean = moments(num_draws, [&] {
    const double x = rng.uniform();
    low = std::min(low, x);
    high = std::max(high, x);
    ++shares[static_cast<std::size_t>(x * 64)];
    return x;
  });
  CHECK(low >= 0);
  CHECK(high < 1);
  CHECK_THAT(mean[0], WithinAbs(1.0 / 2, 5 * std::sqrt(1.0 / 12 / num_draws)));
  CHECK_THAT(mean[1], WithinAbs(1.0 / 3, 5 * std::sqrt(4.0 / 45 / num_draws)));
  CHECK(chi_square(shares) < 128);  // 63 degrees of freedom

  for (int i = 0; i < 1000; ++i) {
    const double x = rng.uniform(-3, -2);
    CHECK((x >= -3 && x <= -2));
  }
}

TEST_CASE("normal: the first four moments, and the tail") {
  Rng rng(12);
  int beyond_two = 0;
  const auto mean = moments(num_draws, [&] {
    const double x = rng.normal();
    beyond_two += std::abs(x) > 2;
    return x;
  });
  // Variances of x, x^2, x^3, x^4: 1, 2, 15, 96.
  CHECK_THAT(mean[0], WithinAbs(0, 5 * std::sqrt(1.0 / num_draws)));
  CHECK_THAT(mean[1], WithinAbs(1, 5 * std::sqrt(2.0 / num_draws)));
  CHECK_THAT(mean[2], WithinAbs(0, 5 * std::sqrt(15.0 / num_draws)));
  CHECK_THAT(mean[3], WithinAbs(3, 5 * std::sqrt(96.0 / num_draws)));
  const double tail = std::erfc(std::sqrt(2.0));
  CHECK_THAT(double(beyond_two) / num_draws, WithinAbs(tail, 5 * std::sqrt(tail / num_draws)));
}

TEST_CASE("below: every value of the range, none beyond, no bias") {
  Rng rng(13);
  std::vector<int> counts(7);
  for (int i = 0; i < num_draws; ++i) ++counts.at(rng.below(7));
  CHECK(chi_square(counts) < 38);  // 6 degrees of freedom
  CHECK(rng.below(1) == 0);

  // Three quarters of all words: a bare remainder would put half of the draws, not a third, into
  // the lowest third of the range.
  const std::uint64_t third = std::uint64_t{1} << 62;
  int lowest = 0;
  for (int i = 0; i < num_draws; ++i) {
    const std::uint64_t x = rng.below(3 * third);
    REQUIRE(x < 3 * third);
    lowest += x < third;
  }
  CHECK_THAT(double(lowest) / num_draws, WithinAbs(1.0 / 3, 5 * std::sqrt(2.0 / 9 / num_draws)));
}

TEST_CASE("permutation: a permutation, every order equally often") {
  Rng rng(14);
  for (Index n : {0, 1, 2, 1000}) {
    auto order = rng.permutation(n);
    std::sort(order.begin(), order.end());
    std::vector<Index> expected(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<Index>(i);
    CHECK(order == expected);
  }

  std::map<std::vector<Index>, int> orders;
  for (int i = 0; i < num_draws; ++i) ++orders[rng.permutation(4)];
  std::vector<int> counts;
  for (const auto& [order, count] : orders) counts.push_back(count);
  CHECK(counts.size() == 24);
  CHECK(chi_square(counts) < 71);  // 23 degrees of freedom
}

TEMPLATE_TEST_CASE("fill: column by column from the stream", "", float, double) {
  using S = TestType;
  Rng rng(15), reference(15);
  const auto x = uniform<S>(3, 2, rng, 2, 5);
  for (Index j = 0; j < 2; ++j) {
    for (Index i = 0; i < 3; ++i) CHECK(x(i, j) == static_cast<S>(reference.uniform(2, 5)));
  }
  Matrix<S> y(2, 2);
  fill_normal(y, 10, 0.5, rng);
  for (Index i = 0; i < 4; ++i) CHECK(y.data()[i] == static_cast<S>(10 + 0.5 * reference.normal()));
  Matrix<S> whole = Matrix<S>::Zero(4, 4);
  auto block = whole.block(1, 1, 2, 2);
  fill_uniform(block, 1, 2, rng);
  CHECK(block.minCoeff() >= S(1));
  block.setZero();
  CHECK(whole.isZero(S(0)));
}

TEST_CASE("below: an empty range is refused") {
  Rng rng(1);
  CHECK_THROWS_AS(rng.below(0), config_error);
  CHECK_THROWS_WITH(rng.below(0), "Rng::below: bound: expected >= 1, got 0");
}
