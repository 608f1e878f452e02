// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace selgate {

/// Floating-point operations that a pass ran: additions, subtractions, multiplications, divisions,
/// exponentials and logarithms, each 1 (so a multiply-add is 2). Comparisons and copies are 0.
struct Flops {
  std::int64_t forward = 0;
  /// Backward to the parameters and to the own output.
  std::int64_t backward = 0;
  /// What backward costs on top where dx is wanted.
  std::int64_t input_gradient = 0;

  [[nodiscard]] std::int64_t total() const { return forward + backward + input_gradient; }
  Flops& operator+=(const Flops& other) {
    forward += other.forward;
    backward += other.backward;
    input_gradient += other.input_gradient;
    return *this;
  }
  friend Flops operator+(Flops a, const Flops& b) { return a += b; }
  friend bool operator==(const Flops&, const Flops&) = default;
};

}  // namespace selgate
