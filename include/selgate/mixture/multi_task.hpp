// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/layer/dense.hpp>
#include <selgate/loss/loss.hpp>
#include <selgate/math/transpose.hpp>
#include <selgate/mixture/task_body.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace selgate {

/// Value of the objective and what it is made of.
struct Objective {
  double total = 0;            // sum over tasks of weight * loss, + regularization
  std::vector<double> losses;  // per task, not weighted
  double regularization = 0;
};

/// A multi-task learner: a body, one tower a task, one loss a task,
///
///   L = sum over t of task_weight_t loss_t(tower_t(y_t)) + regularization of body and towers.
///
/// Without towers a task's representation is its prediction; with several tasks, that takes a
/// TaskVectorsBody. Parameters are "experts.*", "gates.*" (or the bottom's) and "towers.t.*".
template <TaskBody Body, Layer Tower = Dense<typename Body::Scalar>>
class MultiTask {
 public:
  using Scalar = typename Body::Scalar;
  using S = Scalar;
  struct Gradient {
    typename Body::Gradient body;
    std::vector<typename Tower::Gradient> towers;
    template <class F, class... M>
    static void visit(F&& f, M&... m) {
      MultiTask::visit(f, m...);
    }
  };
  struct Cache {
    typename Body::Cache body;
    std::vector<typename Tower::Cache> towers;
    Matrix<S> y, dy;  // representations, where towers read them: body.out_features x max_batch
    // A task's numbers side by side: predictions have max_batch columns for each of its outputs.
    std::vector<Index> first;  // column where a task's predictions begin
    Matrix<S> predictions, dpredictions;
    Matrix<S> labels, mask;  // of some tasks, by task
    Index batch = -1;        // of the last forward
    Objective objective;     // of the last backward or evaluate
  };

  /// Throws shape_error unless there is one fitting tower (or no tower at all), loss and weight a
  /// task; config_error for a task weight that is negative or not finite, or if none is positive.
  MultiTask(Body task_body, std::vector<Tower> task_towers, std::vector<Loss<S>> losses,
            std::vector<double> task_weights)
      : body(std::move(task_body)),
        towers(std::move(task_towers)),
        losses_(std::move(losses)),
        task_weights_(std::move(task_weights)) {
    auto tasks = static_cast<std::size_t>(num_tasks());
    if (!towers.empty() || (num_tasks() > 1 && !TaskVectorsBody<Body>)) {
      require_size("multi-task model: towers", tasks, towers.size());
    }
    require_size("multi-task model: losses", tasks, losses_.size());
    require_size("multi-task model: task weights", tasks, task_weights_.size());
    for (std::size_t t = 0; t < towers.size(); ++t) {
      require_size("multi-task model: in_features of tower " + to_text(t), body.task_features(),
                   towers[t].in_features());
    }
    double sum = 0;
    for (std::size_t t = 0; t < tasks; ++t) {
      const double weight = task_weights_[t];
      require(weight >= 0 && weight - weight == 0, "multi-task model: weight of task " + to_text(t),
              "a finite number >= 0", weight);
      sum += weight;
    }
    require(sum > 0, "multi-task model: sum of the task weights", "> 0", sum);
  }
  /// A model without towers.
  MultiTask(Body task_body, std::vector<Loss<S>> losses, std::vector<double> task_weights)
      : MultiTask(std::move(task_body), {}, std::move(losses), std::move(task_weights)) {}

  [[nodiscard]] Index num_tasks() const { return body.num_tasks(); }
  [[nodiscard]] Index in_features() const { return body.in_features(); }
  [[nodiscard]] const std::vector<Loss<S>>& losses() const { return losses_; }
  [[nodiscard]] const std::vector<double>& task_weights() const { return task_weights_; }

  Cache make_cache(Index max_batch) const {
    Cache cache;
    cache.body = body.make_cache(max_batch);
    if (!towers.empty()) {
      cache.y.resize(body.out_features(), max_batch);
      cache.dy.resize(body.out_features(), max_batch);
    }
    for (const Tower& tower : towers) cache.towers.push_back(tower.make_cache(max_batch));
    cache.first.push_back(0);
    for (Index t = 0; t < num_tasks(); ++t) {
      cache.first.push_back(cache.first.back() +
                            (towers.empty() ? body.task_features()
                                            : towers[static_cast<std::size_t>(t)].out_features()));
    }
    cache.predictions.resize(max_batch, cache.first.back());
    cache.dpredictions.resize(max_batch, cache.first.back());
    cache.labels.resize(max_batch, std::min(num_tasks(), tasks_at_once));
    cache.mask.resize(cache.labels.rows(), cache.labels.cols());
    cache.objective.losses.resize(losses_.size());
    return cache;
  }
  Gradient make_gradient() const {
    Gradient gradient{body.make_gradient(), {}};
    for (const Tower& tower : towers) gradient.towers.push_back(tower.make_gradient());
    return gradient;
  }

  /// Predictions of all tasks, into the cache.
  void forward(const Context& context, const In<S>& x, Cache& cache) const {
    require_own(cache);
    require_capacity("multi-task model", cache.labels.rows(), x.cols());
    cache.batch = -1;  // until the last tower is done
    if (towers.empty()) {
      body.forward(context, x, representations(cache, cache.predictions, x.cols()), cache.body);
    } else {
      body.forward(context, x, cache.y.leftCols(x.cols()), cache.body);
      run_blocks(context.executor, num_tasks(), [&](Index t) {
        const auto at = static_cast<std::size_t>(t);
        towers[at].forward(inner(context), representation(cache.y, t, x.cols()),
                           of_task(cache, cache.predictions, t, x.cols()), cache.towers[at]);
      });
    }
    cache.batch = x.cols();
  }
  /// out_features of the tower (or of the representation) x B, of the last forward.
  [[nodiscard]] View<const S> prediction(const Cache& cache, Index t) const {
    require_forward(cache);
    return of_task(cache, cache.predictions, t, cache.batch);
  }

  /// The objective of the last forward; the regularizers count in training alone.
  const Objective& evaluate(const Context& context, const Labels<S>& labels, Cache& cache) const {
    return objective(context, labels, cache, false);
  }

  /// Adds the derivative of the objective to gradient, and to dx unless not_wanted. Returns the
  /// objective. Throws state_error unless the last forward had as many columns.
  const Objective& backward(const Context& context, const In<S>& x, const Labels<S>& labels,
                            Out<S> dx, Gradient& gradient, Cache& cache) const {
    require_same_batch("multi-task model", cache.batch, x.cols());
    require_size("multi-task model", "towers of the gradient", towers.size(),
                 gradient.towers.size());
    objective(context, labels, cache, true);
    if (!towers.empty()) {
      auto dy = cache.dy.leftCols(x.cols());
      dy.setZero();
      run_blocks(shares_rows() ? nullptr : context.executor, num_tasks(), [&](Index t) {
        const auto at = static_cast<std::size_t>(t);
        towers[at].backward(inner(context), representation(cache.y, t, x.cols()),
                            of_task(cache, cache.predictions, t, x.cols()),
                            of_task(cache, cache.dpredictions, t, x.cols()),
                            representation(cache.dy, t, x.cols()), gradient.towers[at],
                            cache.towers[at]);
      });
      body.backward(context, x, cache.y.leftCols(x.cols()), dy, dx, gradient.body, cache.body);
    } else if constexpr (TaskVectorsBody<Body>) {
      body.backward(context, x, representations(cache, std::as_const(cache.dpredictions), x.cols()),
                    dx, gradient.body, cache.body);
    } else {
      body.backward(context, x, representations(cache, cache.predictions, x.cols()),
                    representations(cache, cache.dpredictions, x.cols()), dx, gradient.body,
                    cache.body);
    }
    return cache.objective;
  }

  /// What ran in the last forward, and what its backward runs (losses and regularizers not
  /// counted).
  [[nodiscard]] Flops flops(const Cache& cache) const {
    Flops sum = body.flops(cache.batch, cache.body);
    for (std::size_t t = 0; t < towers.size(); ++t) {
      const Flops tower = towers[t].flops(cache.batch, cache.towers[t]);
      sum += {.forward = tower.forward, .backward = tower.backward + tower.input_gradient};
    }
    return sum;
  }

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    std::remove_const_t<decltype(First::body)>::visit(f, first.body, rest.body...);
    for (std::size_t t = 0; t < first.towers.size(); ++t) {
      f("towers", static_cast<Index>(t), first.towers[t], rest.towers[t]...);
    }
  }

  Body body;
  std::vector<Tower> towers;

 private:
  static constexpr Index tasks_at_once = 16;  // whose labels stay in the first cache
  static Context inner(Context context) {
    context.executor = nullptr;
    return context;
  }
  [[nodiscard]] bool shares_rows() const {
    return num_tasks() > 1 && body.task_row(1) == body.task_row(0);
  }
  auto representation(auto& y, Index t, Index batch) const {
    return y.block(body.task_row(t), 0, body.task_features(), batch);
  }

  /// What a task predicts x B.
  template <class M>
  static auto of_task(const Cache& cache, M& predictions, Index t, Index batch) {
    const auto at = static_cast<std::size_t>(t);
    const Index first = cache.first[at], rows = cache.first[at + 1] - first;
    using T = std::remove_pointer_t<decltype(predictions.data())>;
    return View<T>(predictions.data() + first * predictions.rows(), rows, batch,
                   Eigen::OuterStride<>(rows));
  }
  /// Without towers: what the body writes, all tasks or the only one.
  template <class M>
  auto representations(const Cache& cache, M& predictions, Index batch) const {
    if constexpr (TaskVectorsBody<Body>) {
      using T = std::remove_pointer_t<decltype(predictions.data())>;
      const Index units = body.task_features();
      return TaskVectors<T>{predictions.data(), num_tasks(), batch, units * predictions.rows(),
                            units};
    } else {
      return of_task(cache, predictions, 0, batch);
    }
  }
  void require_own(const Cache& cache) const {
    require_cache("multi-task model", "tasks", num_tasks(),
                  static_cast<Index>(cache.first.size()) - 1);
    require_cache("multi-task model", "towers", towers.size(), cache.towers.size());
    if (!towers.empty()) return;  // they know what they predict
    require_cache("multi-task model", "predictions", num_tasks() * body.task_features(),
                  cache.first.back());
  }
  void require_forward(const Cache& cache) const {
    require_own(cache);
    if (cache.batch < 0)
      throw state_error("multi-task model: expected a forward before this, got none");
  }

  const Objective& objective(const Context& context, const Labels<S>& labels, Cache& cache,
                             bool with_gradient) const {
    require_forward(cache);
    const Index batch = cache.batch;
    const bool masked = labels.mask.size() != 0;
    require_size("labels: rows (tasks)", num_tasks(), labels.values.rows());
    require_size("labels: columns (examples)", batch, labels.values.cols());
    if (masked) {
      require_size("labels: rows of the mask (tasks)", num_tasks(), labels.mask.rows());
      require_size("labels: columns of the mask (examples)", batch, labels.mask.cols());
    }
    Objective& result = cache.objective;
    result.regularization = static_cast<double>(body.regularization(context, cache.body));
    for (std::size_t t = 0; t < towers.size(); ++t) {
      result.regularization +=
          static_cast<double>(towers[t].regularization(context, cache.towers[t]));
    }
    result.total = result.regularization;
    for (Index t = 0; t < num_tasks(); ++t) {
      const auto at = static_cast<std::size_t>(t);
      const Index in_block = t % tasks_at_once;
      if (in_block == 0) {
        auto transpose_block = [&](const In<S>& from, Matrix<S>& to) {
          const Index count = std::min(tasks_at_once, num_tasks() - t);
          transpose<S>(from.middleRows(t, count), to.topLeftCorner(batch, count));
        };
        transpose_block(labels.values, cache.labels);
        if (masked) transpose_block(labels.mask, cache.mask);
      }
      auto row = [batch, in_block](const Matrix<S>& m) {
        return Row<S>(m.col(in_block).head(batch).transpose());
      };
      auto dprediction = of_task(cache, cache.dpredictions, t, batch);
      if (with_gradient) std::fill_n(dprediction.data(), dprediction.size(), S(0));
      result.losses[at] = static_cast<double>(
          selgate::evaluate<S>(losses_[at], prediction(cache, t), row(cache.labels),
                               masked ? row(cache.mask) : all_labelled<S>(), task_weights_[at],
                               with_gradient ? Out<S>(dprediction) : not_wanted<S>()));
      result.total += task_weights_[at] * result.losses[at];
    }
    return result;
  }

  std::vector<Loss<S>> losses_;
  std::vector<double> task_weights_;
};

}  // namespace selgate
