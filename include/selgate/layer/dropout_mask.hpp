// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/context.hpp>
#include <selgate/core/error.hpp>
#include <selgate/math/kernel/philox.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

namespace selgate {

/// What inverted dropout (Srivastava et al., 2014) multiplies by: 0 with probability `rate`, and
/// else 1 / (1 - rate), so that the mean is 1.
///
/// A function of (seed, step, stream, example, unit), see Context: nothing is stored, every pass
/// computes the same again, and an example meets one mask wherever in whatever batch it stands.
/// `rate` acts in steps of 2^-16, and 1 / (1 - rate) is that of the step, so that the mean is
/// exact.
template <class S>
class DropoutMask {
 public:
  /// Throws config_error naming the option for a rate outside [0, 1).
  DropoutMask(const std::string& name, double rate, std::uint64_t stream) : stream_(stream) {
    require(rate >= 0 && rate < 1, name, "in [0, 1)", rate);
    dropped_of_65536_ = static_cast<std::uint32_t>(std::min(std::round(rate * 65536), 65535.0));
    kept_ = static_cast<S>(65536.0 / (65536 - dropped_of_65536_));
  }

  /// Whether it is more than a row of ones.
  [[nodiscard]] bool drops(const Context& context) const {
    return context.training() && dropped_of_65536_ != 0;
  }
  /// The entry of a unit that stays.
  [[nodiscard]] const S& kept() const { return kept_; }

  /// body(i, entries), where the entries of units first + i, first + i + 1... are an Eigen array,
  /// until all of `size` units have come.
  template <class Body>
  void for_each_block(const Context& context, Index column, Index first, Index size,
                      const Body& body) const {
    for (Index i = 0; i < size;) {
      const Index begin = (first + i) % block_size;
      const Index count = std::min(block_size - begin, size - i);
      const Block block = entries(context, column, (first + i) / block_size);
      body(i, block.segment(begin, count));
      i += count;
    }
  }

 private:
  static constexpr Index block_size = 128;
  using Block = Eigen::Array<S, block_size, 1>;

  /// 16 draws side by side, as vectors have it, each of 4 words of two units.
  Block entries(const Context& context, Index column, Index block) const {
    constexpr std::size_t draws = 16;
    const auto words = kernel::philox<draws>(context.random_key(stream_),
                                             static_cast<std::uint64_t>(context.example(column)),
                                             static_cast<std::uint64_t>(block) * draws);
    const auto dropped = static_cast<std::int32_t>(dropped_of_65536_);
    const S kept = kept_;
    auto entry = [dropped, kept](std::uint32_t bits) {
      return static_cast<std::int32_t>(bits) < dropped ? S(0) : kept;
    };
    Block result;
    for (std::size_t word = 0; word < 4; ++word) {
      S* to = result.data() + 2 * draws * word;
      for (std::size_t i = 0; i < draws; ++i) to[i] = entry(words[word][i] & 0xFFFF);
      for (std::size_t i = 0; i < draws; ++i) to[i + draws] = entry(words[word][i] >> 16);
    }
    return result;
  }

  std::uint64_t stream_;
  std::uint32_t dropped_of_65536_;
  S kept_;
};

}  // namespace selgate
