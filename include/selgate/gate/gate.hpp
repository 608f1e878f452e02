// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/dselect_k_head.hpp>
#include <selgate/gate/gate_bank.hpp>
#include <selgate/gate/softmax_head.hpp>
#include <selgate/gate/softmax_selector_head.hpp>
#include <selgate/gate/top_k_head.hpp>

namespace selgate {

/// One gate: a bank of one task, whose parameters have their names without a number ("W", "alpha").
template <class Map, Head HeadType>
class Gate : public GateBank<Map, HeadType> {
  using Bank = GateBank<Map, HeadType>;

 public:
  struct Gradient : Bank::Gradient {
    template <class F, class... M>
    static void visit(F&& f, M&... m) {
      Gate::visit(f, m...);
    }
  };

  Gate(const typename Bank::Options& options, Rng& rng) : Bank(options, 1, rng) {}
  Gate(Map map, HeadType head) : Bank(std::move(map), std::move(head), 1) {}

  Gradient make_gradient() const { return {Bank::make_gradient()}; }

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    // The bank's walk, less the number of the task.
    auto flat = [&f](const char* name, Index, auto&& object, auto&&... others) {
      using Child = std::remove_cvref_t<decltype(object)>;
      if constexpr (requires { object.groups; object.rows; }) {
        Child::visit(f, object, others...);
      } else {
        f(name, no_index, object, others...);
      }
    };
    Bank::visit(flat, first, rest...);
  }
};

template <class S>
using SoftmaxGate = Gate<Dense<S>, SoftmaxHead<S>>;
template <class S>
using StaticSoftmaxGate = Gate<StaticMap<S>, SoftmaxHead<S>>;
template <class S>
using TopKGate = Gate<Dense<S>, TopKHead<S>>;
template <class S>
using StaticTopKGate = Gate<StaticMap<S>, TopKHead<S>>;
template <class S>
using DSelectKGate = Gate<Dense<S>, DSelectKHead<S>>;
template <class S>
using StaticDSelectKGate = Gate<StaticMap<S>, DSelectKHead<S>>;
template <class S>
using SoftmaxSelectorGate = Gate<Dense<S>, SoftmaxSelectorHead<S>>;
template <class S>
using StaticSoftmaxSelectorGate = Gate<StaticMap<S>, SoftmaxSelectorHead<S>>;

}  // namespace selgate
