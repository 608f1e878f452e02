// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/head.hpp>
#include <selgate/gate/static_map.hpp>
#include <selgate/layer/dense.hpp>

namespace selgate {

/// One task's gate inside a bank, by the names of its files: "alpha" and "Z", or "G", "G_bias", "W"
/// and "W_bias" (DSelect-k); "b", or "A" and "b" (softmax, top-k). S may be const.
template <class S>
struct TaskGate {
  const RowGroups* groups;
  S* weight;  // in_features x h, or nullptr for a static gate
  Index in_features;
  S* rows;  // h: the biases, or a static gate's logits; nullptr for no bias

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    for (const RowGroup& group : *first.groups) {
      auto weight_of = [&](auto& m) {
        Shape shape = group.shape;
        shape.sizes[static_cast<std::size_t>(shape.rank++)] = m.in_features;
        using T = std::remove_pointer_t<decltype(m.weight)>;
        return Leaf<T>{m.weight + m.in_features * group.first, shape};
      };
      auto rows_of = [&](auto& m) {
        using T = std::remove_pointer_t<decltype(m.rows)>;
        return Leaf<T>{m.rows + group.first, group.shape};
      };
      if (first.weight == nullptr) {
        f(group.static_name, no_index, rows_of(first), rows_of(rest)...);
      } else {
        f(group.weight_name, no_index, weight_of(first), weight_of(rest)...);
        if (first.rows != nullptr) f(group.bias_name, no_index, rows_of(first), rows_of(rest)...);
      }
    }
  }
};

/// T gates over one stacked logit map: the gates of the tasks of a multi-gate mixture.
///
/// Map is StaticMap<S> (a static gate: the same weights for every example) or any Layer with T h
/// outputs (h = head.num_logits()); Dense is the usual one. Tasks are just more columns: the T h x
/// B logits are, byte for byte, h x (T B), so one call of the head serves every task of every
/// example. Column b T + t of the weights is task t of example b; a static bank has T columns.
template <class Map, Head HeadType>
  requires Layer<Map> || std::same_as<Map, StaticMap<typename HeadType::Scalar>>
class GateBank {
 public:
  using Scalar = typename HeadType::Scalar;
  using S = Scalar;
  using Options = typename HeadType::Options;
  static constexpr bool is_static = !Layer<Map>;
  static constexpr bool is_linear = std::same_as<Map, Dense<S>>;

  struct Gradient {
    typename Map::Gradient map;
    typename HeadType::Gradient head;
    RowGroups groups;
    Index tasks;
    [[nodiscard]] Index num_tasks() const { return tasks; }
    auto task(Index t) { return task_of<S>(*this, groups, t); }
    auto task(Index t) const { return task_of<const S>(*this, groups, t); }
    template <class F, class... M>
    static void visit(F&& f, M&... m) {
      GateBank::visit(f, m...);
    }
  };
  struct Cache {
    typename Map::Cache map;
    typename HeadType::Cache head;
    Matrix<S> logits, dlogits;  // T h x max_batch; empty for a static bank
  };

  /// A static bank, or a bank on a Dense map, with the head's initial laws. With up to 64 logits a
  /// gate, or a head that has few, an example's weights and dx have the same bits in any batch.
  GateBank(const Options& options, Index num_tasks, Rng& rng) requires is_static || is_linear
      : GateBank(make_map(options, num_tasks, rng), HeadType(options), num_tasks) {
    initialise(rng);
  }
  /// Any map. Throws config_error for num_tasks < 1, shape_error unless it has num_tasks * h
  /// outputs. A Dense map of its own keeps the order of its sums (DenseOptions::order).
  GateBank(Map map, HeadType head, Index num_tasks)
      : map_(std::move(map)),
        head_(std::move(head)),
        groups_(head_.row_groups()),
        num_tasks_(num_tasks) {
    require_tasks(num_tasks);
    if constexpr (is_static) {
      require_size("gate bank: rows of the static table", head_.num_logits(), map_.table.rows());
      require_size("gate bank: columns of the static table (tasks)", num_tasks, map_.table.cols());
    } else {
      require_size("gate bank: out_features of the map (num_tasks * num_logits)",
                   num_tasks * head_.num_logits(), map_.out_features());
    }
  }

  [[nodiscard]] const Map& map() const { return map_; }
  [[nodiscard]] Map& map() { return map_; }
  [[nodiscard]] const HeadType& head() const { return head_; }
  /// For schedules: head().set_gamma, set_temperature, harden.
  [[nodiscard]] HeadType& head() { return head_; }
  [[nodiscard]] Index num_tasks() const { return num_tasks_; }
  [[nodiscard]] Index num_experts() const { return head_.num_experts(); }
  /// Columns of weights for a batch. Throws config_error for more than an Index counts.
  [[nodiscard]] Index num_columns(Index batch) const {
    if (!is_static) require_countable("gate bank: columns", num_tasks_, batch);
    return is_static ? num_tasks_ : num_tasks_ * batch;
  }
  [[nodiscard]] GateOutput<S> make_output(Index max_batch, Storage storage = Storage::dense) const {
    return GateOutput<S>(storage, num_experts(), num_columns(max_batch));
  }

  Cache make_cache(Index max_batch) const {
    const Index rows = is_static ? 0 : num_tasks_ * head_.num_logits();
    return {map_.make_cache(max_batch), head_.make_cache(num_columns(max_batch)),
            Matrix<S>(rows, max_batch), Matrix<S>(rows, max_batch)};
  }
  Gradient make_gradient() const {
    return {map_.make_gradient(), head_.make_gradient(), groups_, num_tasks_};
  }

  /// Sets weights: num_columns(B) columns. x: in_features x B, not read by a static bank.
  void forward(const Context& context, const In<S>& x, GateOutput<S>& weights, Cache& cache) const {
    if constexpr (is_static) {
      head_.forward(context, map_.table, weights, cache.head);
    } else {
      require_room(cache, x.cols());
      map_.forward(context, x, cache.logits.leftCols(x.cols()), cache.map);
      head_.forward(context, logits_of(cache.logits, x.cols()), weights, cache.head);
    }
  }

  /// The logits of the last forward: h x (T B), or the h x T table of a static bank.
  [[nodiscard]] Eigen::Map<const Matrix<S>> logits(const Cache& cache, Index batch) const {
    if constexpr (is_static) {
      return {map_.table.data(), map_.table.rows(), map_.table.cols()};
    } else {
      return logits_of(cache.logits, batch);
    }
  }

  /// Adds to dx (unless not_wanted; a static bank has none) and gradient the derivative of
  /// sum(dweights .* weights) + regularization.
  void backward(const Context& context, const In<S>& x, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, Out<S> dx, Gradient& gradient, Cache& cache) const {
    if constexpr (is_static) {
      head_.backward(context, map_.table, weights, dweights, column_weight(context),
                     gradient.map.table, gradient.head, cache.head);
    } else {
      require_room(cache, x.cols());
      auto logits = cache.logits.leftCols(x.cols());
      auto dlogits = cache.dlogits.leftCols(x.cols());
      dlogits.setZero();
      head_.backward(context, logits_of(cache.logits, x.cols()), weights, dweights,
                     column_weight(context), logits_of(cache.dlogits, x.cols()), gradient.head,
                     cache.head);
      map_.backward(context, x, logits, dlogits, dx, gradient.map, cache.map);
    }
  }

  /// Sum over the tasks of the regularizers' batch means (a static gate's: its one value).
  accumulate_t<S> regularization(const Context& context, const Cache& cache) const {
    accumulate_t<S> sum = head_.regularization(context, column_weight(context), cache.head);
    if constexpr (!is_static) sum += map_.regularization(context, cache.map);
    return sum;
  }

  [[nodiscard]] Flops flops(Index batch, const Cache& cache) const {
    Flops sum = head_.flops(num_columns(batch), cache.head);
    if constexpr (!is_static) sum += map_.flops(batch, cache.map);
    return sum;
  }

  /// The parameters of one task's gate. Only for a static or Dense map.
  auto task(Index t) { return task_of<S>(*this, groups_, t); }
  auto task(Index t) const { return task_of<const S>(*this, groups_, t); }

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    if constexpr ((is_static || is_linear) && blocks_of<F> == Blocks::named) {
      for (Index t = 0; t < first.num_tasks(); ++t) f("", t, first.task(t), rest.task(t)...);
    } else {
      f("map", no_index, map_of(first), map_of(rest)...);
    }
    f("", no_index, head_of(first), head_of(rest)...);
  }

 private:
  static void require_tasks(Index num_tasks) {
    require(num_tasks >= 1, "gate bank: num_tasks", ">= 1", num_tasks);
  }
  static Map make_map(const Options& options, Index num_tasks, Rng& rng) {
    require_tasks(num_tasks);
    const Index h = HeadType(options).num_logits();
    require_countable("gate bank: logits of all tasks", num_tasks, h);
    if constexpr (is_static) {
      return Map(h, num_tasks);
    } else {
      require(options.in_features >= 1, "gate bank: in_features of per-example gates", ">= 1",
              options.in_features);
      constexpr bool few = requires { requires HeadType::has_few_logits; };
      return Map({.in_features = options.in_features,
                  .out_features = h * num_tasks,
                  .bias = options.bias,
                  .order = few || h <= kernel::max_skinny ? SumOrder::fixed : SumOrder::fastest},
                 rng);
    }
  }
  void initialise(Rng& rng) {
    for (Index t = 0; t < num_tasks_; ++t) {
      auto gate = task(t);
      for (const RowGroup& group : groups_) {
        auto draw = [&](S* at, Index count, double range) {
          for (Index i = 0; i < count; ++i) at[i] = static_cast<S>(rng.uniform(-range, range));
        };
        const Index rows = group.shape.size();
        if (is_static) {
          draw(gate.rows + group.first, rows, group.static_range);
        } else {
          draw(gate.weight + gate.in_features * group.first, gate.in_features * rows,
               group.weight_range);
          if (gate.rows != nullptr) draw(gate.rows + group.first, rows, group.bias_range);
        }
      }
    }
  }

  void require_room(const Cache& cache, Index batch) const {
    require_cache("gate bank", "logits of all tasks", num_tasks_ * head_.num_logits(),
                  cache.logits.rows());
    require_capacity("gate bank", cache.logits.cols(), batch);
  }
  double column_weight(const Context& context) const {
    return is_static ? 1 : context.example_weight;
  }
  /// T h x B seen as h x (T B).
  template <class M>
  auto logits_of(M& logits, Index batch) const {
    using Plain = std::conditional_t<std::is_const_v<M>, const Matrix<S>, Matrix<S>>;
    return Eigen::Map<Plain>(logits.data(), head_.num_logits(), num_tasks_ * batch);
  }

  template <class T, class Bank>
  static TaskGate<T> task_of(Bank& bank, const RowGroups& groups, Index t) {
    Index h = 0;
    for (const RowGroup& group : groups) h += group.shape.size();
    auto& map = map_of(bank);
    if constexpr (is_static) {
      return {&groups, nullptr, 0, map.table.data() + t * h};
    } else {
      const Index p = map.weight.rows();
      T* rows = map.bias.size() == 0 ? nullptr : map.bias.data() + t * h;
      return {&groups, map.weight.data() + t * h * p, p, rows};
    }
  }
  static auto& map_of(GateBank& m) { return m.map_; }
  static auto& map_of(const GateBank& m) { return m.map_; }
  static auto& map_of(Gradient& m) { return m.map; }
  static auto& map_of(const Gradient& m) { return m.map; }
  static auto& head_of(GateBank& m) { return m.head_; }
  static auto& head_of(const GateBank& m) { return m.head_; }
  static auto& head_of(Gradient& m) { return m.head; }
  static auto& head_of(const Gradient& m) { return m.head; }

  Map map_;
  HeadType head_;
  RowGroups groups_;
  Index num_tasks_;
};

}  // namespace selgate
