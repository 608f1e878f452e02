// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate.hpp>

#include <cmath>

namespace selgate::benchmarks {

/// What a head is called in the names of cases, and the options of a gate over n experts; p = 0
/// means a static gate.
template <class Head>
struct Kind;

template <>
struct Kind<SoftmaxHead<float>> {
  static constexpr const char* name = "softmax";
  static SoftmaxOptions options(Index p, Index n, Index /*k*/) {
    return {.in_features = p, .num_experts = n};
  }
};

template <>
struct Kind<TopKHead<float>> {
  static constexpr const char* name = "topk";
  static TopKOptions options(Index p, Index n, Index k) {
    return {.in_features = p, .num_experts = n, .k = k};
  }
};

/// Its bits are fractional at first: z is uniform in +-0.4 gamma where it is a parameter, and has a
/// deviation of 0.15 gamma where it is a linear map of standard normal features.
template <>
struct Kind<DSelectKHead<float>> {
  static constexpr const char* name = "dselect";
  static DSelectKOptions options(Index p, Index n, Index k) {
    return {.in_features = p,
            .num_experts = n,
            .k = k,
            .entropy_weight = 0.1,
            .bias = false,
            .code_range = p == 0 ? 0.4 : 0.15 * std::sqrt(3.0 / static_cast<double>(p))};
  }
};

}  // namespace selgate::benchmarks
