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
    Bank::visit(WithoutTaskNumber<std::remove_reference_t<F>>{f}, first, rest...);
  }

 private:
  /// The bank's walk, less the number of the task.
  template <class F>
  struct WithoutTaskNumber {
    static constexpr Blocks blocks = blocks_of<F>;
    F& f;
    template <class First, class... Rest>
    void operator()(const char* name, Index, First&& first, Rest&&... rest) const {
      if constexpr (requires { first.groups; first.rows; }) {
        std::remove_cvref_t<First>::visit(f, first, rest...);
      } else {
        f(name, no_index, first, rest...);
      }
    }
  };
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
