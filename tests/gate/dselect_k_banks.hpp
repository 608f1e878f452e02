// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate.hpp>

/// The banks that the tests of gate_bank.hpp are about.
namespace selgate::test {

template <class S>
using LinearBank = GateBank<Dense<S>, DSelectKHead<S>>;
template <class S>
using StaticBank = GateBank<StaticMap<S>, DSelectKHead<S>>;

inline constexpr DSelectKOptions bank_options{.in_features = 6, .num_experts = 5, .k = 2};

}  // namespace selgate::test
