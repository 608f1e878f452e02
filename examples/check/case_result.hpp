// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace selgate::examples {

/// A computed quantity of a case, such as "gradients.W": the largest over its entries of
/// |computed - reference| / max(1, |reference|).
struct Quantity {
  std::string name;
  double error;
};

struct CaseResult {
  std::string name;
  std::vector<Quantity> quantities;

  [[nodiscard]] const Quantity& worst() const {
    return *std::max_element(
        quantities.begin(), quantities.end(),
        [](const Quantity& a, const Quantity& b) { return a.error < b.error; });
  }

  /// Compares computed(i) with every entry i of the reference. What is not a number is infinitely
  /// far from one.
  template <class Computed>
  void compare(std::string quantity, const std::vector<double>& reference,
               const Computed& computed) {
    double largest = 0;
    for (std::size_t i = 0; i < reference.size(); ++i) {
      const double difference = std::abs(static_cast<double>(computed(i)) - reference[i]);
      const double error = difference / (std::max)(1.0, std::abs(reference[i]));
      largest =
          (std::max)(largest, std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
    }
    quantities.push_back({std::move(quantity), largest});
  }
};

}  // namespace selgate::examples
