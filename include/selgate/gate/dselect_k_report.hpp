// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/dselect_k_head.hpp>
#include <selgate/gate/gate_report.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace selgate {

/// What one selector of one column stands at.
struct SelectorState {
  int fractional_bits = 0;   // 0: frozen on one code
  Index code = -1;           // that code, or -1 while fractional
  Index expert = -1;         // its expert, or -1: fractional, or a code without expert
  [[nodiscard]] bool frozen() const { return fractional_bits == 0; }
  [[nodiscard]] bool unreachable() const { return frozen() && expert < 0; }
};

template <class S>
SelectorState selector_state(const DSelectKHead<S>& head, const S* logits, Index i) {
  PerBit<SmoothStep<S>> bits;
  for (int j = 0; j < head.num_bits(); ++j)
    bits[static_cast<std::size_t>(j)] = head.bit(logits, i, j);
  const Subcube cube = subcube(bits.data(), head.num_bits());
  if (cube.free != 0) return {.fractional_bits = cube.num_free()};
  return {.fractional_bits = 0, .code = cube.base, .expert = head.codes().expert_of(cube.base)};
}

/// How sparse, how binary and how healthy a DSelect-k gate is, from the logits of any columns: a
/// static gate's table (a column a task), or those of a batch. The three questions that one number
/// cannot answer are kept apart: support, distinct codes, binary bits.
struct DSelectKReport {
  Index columns = 0, num_bits = 0;
  double mean_support = 0;         // experts with non-zero weight
  Index max_support = 0;
  double mean_distinct_codes = 0;  // among the selectors' most likely codes
  double binary_bits = 1;          // share of all bits; 1 where there are none
  double unreachable = 0;          // share of selectors frozen on a code without expert
  double twins = 0;                // share of columns with two selectors of equal bits that train

  /// Every bit of every selector is binary: each column selects at most k experts. (Of no column,
  /// nothing is known.)
  [[nodiscard]] bool converged() const { return columns > 0 && binary_bits == 1; }
};

template <class S>
DSelectKReport report(const DSelectKHead<S>& head, const std::type_identity_t<In<S>>& logits) {
  detail::require_logits<DSelectKHead<S>, S>(head, "DSelect-k report", logits);
  const Index k = head.k(), m = head.num_bits();
  DSelectKReport r{.columns = logits.cols(), .num_bits = m};
  if (logits.cols() == 0) return r;
  auto cache = head.make_cache(1);
  GateOutput<S> weights(Storage::routing, head.num_experts(), 1);
  double binary = 0, unreachable = 0, distinct = 0, twins = 0, support = 0;
  std::vector<Index> likely(static_cast<std::size_t>(k));
  for (Index c = 0; c < logits.cols(); ++c) {
    const S* z = logits.col(c).data();
    head.forward(Context{}, logits.col(c), weights, cache);
    support += static_cast<double>(weights.routing().num_entries());
    r.max_support = std::max(r.max_support, weights.routing().num_entries());
    bool twin = false;
    for (Index i = 0; i < k; ++i) {
      const SelectorState state = selector_state(head, z, i);
      binary += static_cast<double>(m - state.fractional_bits);
      unreachable += state.unreachable() ? 1 : 0;
      Index code = 0;
      for (int j = 0; j < m; ++j) code |= Index{head.bit(z, i, j).v > S(0.5)} << j;
      likely[static_cast<std::size_t>(i)] = code;
      for (Index other = 0; other < i && !state.frozen(); ++other) {
        bool equal = true;
        for (Index j = 0; j < m; ++j) equal = equal && z[k + i * m + j] == z[k + other * m + j];
        twin = twin || equal;
      }
    }
    twins += twin ? 1 : 0;
    std::sort(likely.begin(), likely.end());
    distinct += static_cast<double>(std::unique(likely.begin(), likely.end()) - likely.begin());
    likely.resize(static_cast<std::size_t>(k));
  }
  const auto columns = static_cast<double>(logits.cols()),
             selectors = columns * static_cast<double>(k);
  r.mean_support = support / columns;
  r.mean_distinct_codes = distinct / columns;
  if (m > 0) r.binary_bits = binary / (selectors * static_cast<double>(m));
  r.unreachable = unreachable / selectors;
  r.twins = twins / columns;
  return r;
}

/// The report in a few lines of text.
inline std::string describe(const DSelectKReport& r) {
  using detail::decimal;
  return concat({to_text(r.columns), " columns: ", decimal(r.mean_support),
                 " experts on average, ", to_text(r.max_support), " at most; ",
                 decimal(r.mean_distinct_codes), " distinct codes\n  bits that are binary: ",
                 decimal(100 * r.binary_bits), " %", r.converged() ? ", converged" : "",
                 "\n  selectors frozen on a code without expert: ", decimal(100 * r.unreachable),
                 " %\n  columns with twin selectors: ", decimal(100 * r.twins), " %\n"});
}

/// The ways in which a DSelect-k gate dies without a word, watched while it trains:
///   saturated at the start  more than half of the bits are binary on the first batch: they never
///                           train (raw 0..255 pixels do that)
///   frozen too early        all bits binary before `patience` steps: the choice is noise
///   unreachable             a selector frozen on a code without expert
///   twins                   selectors that train from equal bits: only their shares of the mix can
///                           part them, until then one of the k is wasted
class DSelectKWatch {
 public:
  /// patience: steps that the experts need before a frozen choice means something.
  explicit DSelectKWatch(std::int64_t patience) : patience_(patience) {}

  /// Looks at the logits before the given step (0: before the first). Returns what is new and bad,
  /// a sentence each: empty as long as the gate is healthy.
  template <class S>
  std::vector<std::string> observe(std::int64_t step, const DSelectKHead<S>& head,
                                   const std::type_identity_t<In<S>>& logits) {
    last_ = report(head, logits);
    std::vector<std::string> news;
    auto warn = [&](bool& warned, bool now, const std::string& text) {
      if (now && !warned) news.push_back("step " + to_text(step) + ": " + text);
      warned = warned || now;
    };
    if (step == 0) {
      warn(saturated_, last_.binary_bits > 0.5 && last_.num_bits > 0 && !head.hardened(),
           percent(last_.binary_bits) + " of the bits are saturated on the first batch and do not "
           "train; scale the inputs, or raise gamma");
    }
    const bool frozen = last_.converged() && last_.num_bits > 0;
    if (frozen && frozen_since_ < 0) frozen_since_ = step;
    warn(early_, frozen && step < patience_ && step > 0 && !head.hardened(),
         "every bit is frozen before step " + to_text(patience_) +
         "; the choice is early: lower lambda or the learning rate, or raise gamma");
    warn(unreachable_, last_.unreachable > 0,
         percent(last_.unreachable) +
             " of the selectors are frozen on a code without expert; raise "
             "penalty_weight, or fold spare codes");
    warn(twins_, last_.twins > 0,
         percent(last_.twins) +
             " of the columns have two selectors that train from equal bits, one of them wasted; "
             "raise code_range");
    return news;
  }

  [[nodiscard]] const DSelectKReport& last() const { return last_; }
  /// The first observed step at which every bit was binary, or -1.
  [[nodiscard]] std::int64_t frozen_since() const { return frozen_since_; }

 private:
  static std::string percent(double share) {
    return to_text(static_cast<int>(100 * share + 0.5)) + " %";
  }

  std::int64_t patience_, frozen_since_ = -1;
  bool saturated_ = false, early_ = false, unreachable_ = false, twins_ = false;
  DSelectKReport last_;
};

}  // namespace selgate
