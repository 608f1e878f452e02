// SPDX-License-Identifier: MIT
#include <selgate/gate/expert_selectors.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"
#include "spare_code_policies.hpp"

#include <limits>

using namespace selgate;
using Codes = ExpertSelectors::Codes;
using selgate::test::policies;

namespace {

/// k selectors with some bits binary, and all lanes of a pack with selectors of their own.
template <class S>
struct Columns {
  using Pack = kernel::Pack<S>;
  static constexpr Index lanes = kernel::lane_count<S>;
  std::vector<std::vector<S>> mix;
  std::vector<std::vector<SmoothStep<S>>> bits;
  std::vector<Pack> pack_mix;
  std::vector<SmoothStep<Pack>> pack_bits;

  Columns(Index k, Index m, Rng& rng)
      : mix(static_cast<std::size_t>(lanes)),
        bits(static_cast<std::size_t>(lanes)),
        pack_mix(static_cast<std::size_t>(k)),
        pack_bits(static_cast<std::size_t>(k * m)) {
    for (Index lane = 0; lane < lanes; ++lane) {
      auto& column_mix = mix[static_cast<std::size_t>(lane)];
      auto& column_bits = bits[static_cast<std::size_t>(lane)];
      for (Pack& element : pack_mix) {
        column_mix.push_back(static_cast<S>(rng.uniform(0, 1)));
        kernel::set_lane(element, lane, column_mix.back());
      }
      for (SmoothStep<Pack>& bit : pack_bits) {
        column_bits.push_back(smooth_step(static_cast<S>(rng.uniform(-0.7, 0.7)), S(1)));
        kernel::set_lane(bit.v, lane, column_bits.back().v);
        kernel::set_lane(bit.w, lane, column_bits.back().w);
      }
    }
  }
};

/// All n weights, or those that the pass gives for this dw: dot, then ds.
template <class E>
std::vector<E> selector_weights(const ExpertSelectors& selectors, Codes which, const E* mix,
                                const SmoothStep<E>* bits) {
  auto scratch = selectors.make_scratch<E>(true);
  std::vector<E> w(static_cast<std::size_t>(selectors.codes().num_experts()));
  selectors.add_up(which, mix, bits, scratch, w.data());
  return w;
}
template <class E>
std::vector<E> gradient_of(const ExpertSelectors& selectors, Codes which, const E* mix,
                           const SmoothStep<E>* bits) {
  using S = kernel::scalar_of<E>;
  auto scratch = selectors.make_scratch<E>(true);
  std::vector<E> dw(static_cast<std::size_t>(selectors.codes().num_experts()));
  for (std::size_t e = 0; e < dw.size(); ++e) dw[e] = kernel::broadcast<E>(S(1) / S(e + 2));
  const auto make_dw = [&]() -> const E* { return dw.data(); };
  selectors.backward(which, mix, bits, make_dw, scratch);
  std::vector<E> result = scratch.dot;
  result.insert(result.end(), scratch.ds.begin(), scratch.ds.end());
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("expert selectors: a tile of all codes has the bits of its columns' supports",
                   "", float, double) {
  using S = TestType;
  const Index n = GENERATE(1, 2, 5, 8, 33, 64, 100, 256), k = std::min<Index>(n, 3);
  Rng rng(static_cast<std::uint64_t>(n));
  for (const SpareCodes policy : policies) {
    const ExpertSelectors selectors({n, policy, 7}, k);
    const Columns<S> columns(k, selectors.num_bits(), rng);
    const auto w =
        selector_weights(selectors, Codes::all, columns.pack_mix.data(), columns.pack_bits.data());
    const auto d =
        gradient_of(selectors, Codes::all, columns.pack_mix.data(), columns.pack_bits.data());
    for (Index lane = 0; lane < Columns<S>::lanes; ++lane) {
      const S* mix = columns.mix[static_cast<std::size_t>(lane)].data();
      const SmoothStep<S>* bits = columns.bits[static_cast<std::size_t>(lane)].data();
      const auto column = selector_weights(selectors, Codes::support, mix, bits);
      for (std::size_t e = 0; e < column.size(); ++e) {
        REQUIRE(column[e] == kernel::get_lane(w[e], lane));
      }
      const auto derivatives = gradient_of(selectors, Codes::support, mix, bits);
      const auto all = gradient_of(selectors, Codes::all, mix, bits);
      for (std::size_t i = 0; i < derivatives.size(); ++i) {
        CAPTURE(n, k, i, derivatives[i]);
        const S tile = kernel::get_lane(d[i], lane), near = 16 * std::numeric_limits<S>::epsilon();
        REQUIRE(tile == all[i]);
        const bool is_bit = i >= static_cast<std::size_t>(k);
        if (is_bit && bits[i - static_cast<std::size_t>(k)].is_binary()) continue;  // nobody reads
        REQUIRE(std::abs(tile - derivatives[i]) <= near);
      }
    }
  }
}

TEST_CASE("expert selectors: an underflow is told, and raised in its column alone") {
  using Pack = kernel::Pack<float>;
  const ExpertSelectors selectors({4, SpareCodes::penalty, 0}, 1);
  const float near_one = std::nextafter(0.5f, 0.0f);
  std::vector<SmoothStep<float>> bits(2, smooth_step(near_one, 1.0f));
  const float mix = 1e-20f;
  auto scratch = selectors.make_scratch<float>(true);
  const auto nothing = [](Index, const float&) {};
  CHECK(selectors.for_each_weight(Codes::support, &mix, bits.data(), scratch, nothing));
  CHECK(selectors.num_codes(&mix, bits.data()) == 4);
  std::vector<Pack> w(4);
  selectors.raise(&mix, bits.data(), 1, w.data());
  for (const Pack& weight : w) {
    CHECK(weight[0] == 0);
    CHECK(weight[1] == smallest_weight<float>());
  }
  bits.assign(2, smooth_step(1.0f, 1.0f));  // binary: nothing can underflow
  CHECK_FALSE(selectors.for_each_weight(Codes::support, &mix, bits.data(), scratch, nothing));
  const float no_share = 0;
  CHECK(selectors.num_codes(&no_share, bits.data()) == 0);
}
