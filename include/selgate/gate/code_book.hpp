// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/random.hpp>
#include <selgate/math/binary_code.hpp>

namespace selgate {

/// What becomes of the codes n..2^m - 1, which no expert has, where n is not a power of two.
///   penalty      their mass is lost (a column sums to less than 1) and xi / mass drives it to 0
///   fold         code l gives its mass to expert l - 2^(m-1): the simplex holds exactly
///   random       code l gives its mass to a random expert, the same for a given seed
///   renormalise  each selector is divided by its mass on the first n codes: the simplex holds as
///                long as no selector has less than mass_floor there (then it sums to less)
enum class SpareCodes { penalty, fold, random, renormalise };

/// Which expert each of the 2^m codes stands for.
class CodeBook {
 public:
  CodeBook(Index num_experts, SpareCodes spare_codes, std::uint64_t seed)
      : num_experts_(num_experts), spare_codes_(spare_codes), seed_(seed) {}

  [[nodiscard]] Index num_experts() const { return num_experts_; }
  /// m = ceil(log2 n).
  [[nodiscard]] int num_bits() const { return selgate::num_bits(num_experts_); }
  [[nodiscard]] Index num_codes() const { return Index{1} << num_bits(); }
  [[nodiscard]] bool has_spare() const { return num_codes() != num_experts_; }
  [[nodiscard]] bool loses_mass() const {
    return has_spare() && spare_codes_ == SpareCodes::penalty;
  }
  [[nodiscard]] bool renormalises() const {
    return has_spare() && spare_codes_ == SpareCodes::renormalise;
  }

  /// The expert of a code, or -1.
  [[nodiscard]] Index expert_of(Index code) const {
    if (code < num_experts_) return code;
    if (spare_codes_ == SpareCodes::fold) return code - num_codes() / 2;
    if (spare_codes_ == SpareCodes::random) {
      return static_cast<Index>(mix_key(seed_, static_cast<std::uint64_t>(code)) %
                                static_cast<std::uint64_t>(num_experts_));
    }
    return -1;
  }
  /// How many codes of a cube have an expert.
  [[nodiscard]] Index num_used(const Subcube& cube) const {
    const bool all = spare_codes_ == SpareCodes::fold || spare_codes_ == SpareCodes::random;
    return all ? cube.size() : cube.count_below(num_experts_, num_bits());
  }
  /// body(i, expert) for the codes of a cube that have an expert, in ascending order of code.
  template <class Body>
  void for_each_expert(const Subcube& cube, const Body& body) const {
    // Fractional bits throughout: the i-th code is i, and the first n are their own experts.
    const Index direct = cube.size() == num_codes() ? num_experts_ : 0;
    for (Index i = 0; i < direct; ++i) body(i, i);
    cube.for_each_from(direct, [&](Index i, Index code) {
      if (const Index expert = expert_of(code); expert >= 0) body(i, expert);
    });
  }

 private:
  Index num_experts_;
  SpareCodes spare_codes_;
  std::uint64_t seed_;
};

}  // namespace selgate
