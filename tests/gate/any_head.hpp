// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate.hpp>

#include <variant>

namespace selgate::test {

using AnyOptions =
    std::variant<SoftmaxOptions, TopKOptions, DSelectKOptions, SoftmaxSelectorOptions>;

/// Any of the heads: one type, so that the laws of gates on a map are compiled once for all.
template <class S>
class AnyHead {
  template <class... H>
  using OneOf = std::variant<typename H::Cache...>;

 public:
  using Scalar = S;
  using Options = AnyOptions;
  using Gradient = Empty;
  using Cache = OneOf<SoftmaxHead<S>, TopKHead<S>, DSelectKHead<S>, SoftmaxSelectorHead<S>>;

  explicit AnyHead(const Options& options)
      : head_(std::visit([](const auto& chosen) { return make(chosen); }, options)) {}

  [[nodiscard]] Index num_experts() const {
    return visit_head([](const auto& head) { return head.num_experts(); });
  }
  [[nodiscard]] Index num_logits() const {
    return visit_head([](const auto& head) { return head.num_logits(); });
  }
  [[nodiscard]] RowGroups row_groups() const {
    return visit_head([](const auto& head) { return head.row_groups(); });
  }
  [[nodiscard]] bool sums_to_one() const {
    return visit_head([](const auto& head) { return head.sums_to_one(); });
  }
  Cache make_cache(Index max_columns) const {
    return visit_head([&](const auto& head) { return Cache(head.make_cache(max_columns)); });
  }
  Gradient make_gradient() const { return {}; }

  void forward(const Context& context, const In<S>& logits, GateOutput<S>& weights,
               Cache& cache) const {
    visit_head([&]<class H>(const H& head) {
      head.forward(context, logits, weights, std::get<typename H::Cache>(cache));
    });
  }
  void backward(const Context& context, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double scale, Out<S> dlogits, Gradient& gradient,
                Cache& cache) const {
    visit_head([&]<class H>(const H& head) {
      head.backward(context, logits, weights, dweights, scale, dlogits, gradient,
                    std::get<typename H::Cache>(cache));
    });
  }
  accumulate_t<S> regularization(const Context& context, double scale, const Cache& cache) const {
    return visit_head([&]<class H>(const H& head) -> accumulate_t<S> {
      return head.regularization(context, scale, std::get<typename H::Cache>(cache));
    });
  }
  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    return visit_head([&]<class H>(const H& head) {
      return head.flops(columns, std::get<typename H::Cache>(cache));
    });
  }
  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  using Heads = std::variant<SoftmaxHead<S>, TopKHead<S>, DSelectKHead<S>, SoftmaxSelectorHead<S>>;

  static Heads make(const SoftmaxOptions& options) { return SoftmaxHead<S>(options); }
  static Heads make(const TopKOptions& options) { return TopKHead<S>(options); }
  static Heads make(const DSelectKOptions& options) { return DSelectKHead<S>(options); }
  static Heads make(const SoftmaxSelectorOptions& options) {
    return SoftmaxSelectorHead<S>(options);
  }
  template <class F>
  decltype(auto) visit_head(const F& f) const {
    return std::visit(f, head_);
  }

  Heads head_;
};

struct NamedHead {
  const char* name;
  AnyOptions options;
  Index max_support = 0;
};

inline DSelectKOptions regularized(SpareCodes spare_codes) {
  return {.num_experts = 7,
          .k = 2,
          .gamma = 2,
          .entropy_weight = 0.1,
          .penalty_weight = 0.01,
          .spare_codes = spare_codes};
}
/// Every head, with every order and policy that it has, of seven experts: of the eight codes just
/// one is spare, and gamma wide enough that no example loses all its mass to it.
inline const NamedHead every_head[] = {
    {"softmax", SoftmaxOptions{.num_experts = 7}},
    {"top-k, softmax of the kept",
     TopKOptions{.num_experts = 7, .k = 2, .order = TopKOrder::softmax_of_kept}, 2},
    {"top-k, kept of the softmax",
     TopKOptions{.num_experts = 7, .k = 2, .order = TopKOrder::kept_of_softmax}, 2},
    {"DSelect-k, penalty", regularized(SpareCodes::penalty)},
    {"DSelect-k, fold", regularized(SpareCodes::fold)},
    {"DSelect-k, random", regularized(SpareCodes::random)},
    {"DSelect-k, renormalise", regularized(SpareCodes::renormalise)},
    {"softmax selectors", SoftmaxSelectorOptions{.num_experts = 7, .k = 2, .entropy_weight = 0.1}},
};

}  // namespace selgate::test
