// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/code_book.hpp>
#include <selgate/gate/head.hpp>
#include <selgate/math/entropy.hpp>

namespace selgate {

struct DSelectKOptions {
  Index in_features = 0;      // of a per-example gate; ignored by a static one
  Index num_experts = 0;      // n >= 1
  Index k = 1;                // 1..n selectors
  double gamma = 1;           // > 0, width of the smooth-step
  double entropy_weight = 0;  // lambda >= 0
  double penalty_weight = 1;  // xi >= 0; SpareCodes::penalty with n < 2^m alone
  Entropy entropy = Entropy::all_codes;
  SpareCodes spare_codes = SpareCodes::penalty;
  std::uint64_t spare_seed = 0;  // of SpareCodes::random
  bool bias = true;              // of a per-example gate; the paper's text has none
  double code_range = 0.01;      // z starts U(+-code_range * gamma), every selector by its own draw
  double mix_range = 0.05;       // alpha starts U(+-mix_range)
};

namespace detail {

/// The options, if all are in their ranges (gamma is checked by its setter); else throws
/// config_error.
inline const DSelectKOptions& checked(const DSelectKOptions& options) {
  require_experts("DSelect-k gate", options.num_experts, options.k);
  require_not_negative("DSelect-k gate: entropy_weight", options.entropy_weight);
  require_not_negative("DSelect-k gate: penalty_weight", options.penalty_weight);
  require_not_negative("DSelect-k gate: code_range", options.code_range);
  require_not_negative("DSelect-k gate: mix_range", options.mix_range);
  return options;
}

}  // namespace detail

}  // namespace selgate
