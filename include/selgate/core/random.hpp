// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/core/types.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace selgate {

/// Mixes one more word into a key (the finaliser of SplitMix64; Steele et al., 2014).
constexpr std::uint64_t mix_key(std::uint64_t key, std::uint64_t word) {
  std::uint64_t z = key + 0x9E3779B97F4A7C15u + word * 0xD1B54A32D192ED03u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// Philox4x32-10 (Salmon et al., 2011): four random 32-bit words as a pure function of a key and a
/// counter. Nothing is stored, so threads, order and repetition cannot change what a place draws.
/// (Many draws: math/kernel/philox.hpp.)
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_high,
                                              std::uint64_t counter_low) {
  auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  std::array<std::uint32_t, 4> c{low(counter_low), high(counter_low), low(counter_high),
                                 high(counter_high)};
  std::uint32_t k0 = low(key), k1 = high(key);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {high(p1) ^ c[1] ^ k0, low(p1), high(p0) ^ c[3] ^ k1, low(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

/// A stream of random numbers for data and initial weights: philox on a running counter. Its own
/// uniform, normal and permutation, because those of <random> differ between standard libraries.
class Rng {
 public:
  using result_type = std::uint32_t;
  explicit Rng(std::uint64_t seed = 0) : key_(mix_key(0, seed)) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return (std::numeric_limits<result_type>::max)(); }

  result_type operator()() {
    if (next_ == 4) {
      words_ = philox(key_, 0, counter_++);
      next_ = 0;
    }
    return words_[next_++];
  }
  std::uint64_t bits64() {
    const std::uint64_t high = (*this)();
    return (high << 32) | (*this)();
  }

  /// Uniform in [0, 1), 53 random bits.
  double uniform() { return static_cast<double>(bits64() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Standard normal by the polar method (Marsaglia and Bray, 1964).
  double normal() {
    while (true) {
      const double u = uniform(-1, 1), v = uniform(-1, 1), r = u * u + v * v;
      if (r > 0 && r < 1) return u * std::sqrt(-2 * std::log(r) / r);
    }
  }

  /// Uniform in 0..bound-1 without bias (rejection of the incomplete last range). Throws
  /// config_error for bound = 0.
  std::uint64_t below(std::uint64_t bound) {
    require(bound >= 1, "Rng::below: bound", ">= 1", bound);
    const std::uint64_t limit = bound * ((std::numeric_limits<std::uint64_t>::max)() / bound);
    std::uint64_t draw = bits64();
    while (draw >= limit) draw = bits64();
    return draw % bound;
  }

  /// A random order of 0..n-1 (Fisher and Yates).
  std::vector<Index> permutation(Index n) {
    std::vector<Index> order(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[below(i)]);
    return order;
  }

 private:
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
  std::array<std::uint32_t, 4> words_{};
  unsigned next_ = 4;
};

/// Fills any Eigen object from U(low, high), column by column.
template <class Derived>
void fill_uniform(Eigen::DenseBase<Derived>& x, double low, double high, Rng& rng) {
  using S = typename Derived::Scalar;
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) x(i, j) = static_cast<S>(rng.uniform(low, high));
  }
}
template <class Derived>
void fill_normal(Eigen::DenseBase<Derived>& x, double mean, double deviation, Rng& rng) {
  using S = typename Derived::Scalar;
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) x(i, j) = static_cast<S>(mean + deviation * rng.normal());
  }
}

/// rows x cols from U(low, high).
template <class S>
Matrix<S> uniform(Index rows, Index cols, Rng& rng, double low = -1, double high = 1) {
  Matrix<S> x(rows, cols);
  fill_uniform(x, low, high, rng);
  return x;
}

}  // namespace selgate
