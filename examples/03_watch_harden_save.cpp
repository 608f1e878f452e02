// SPDX-License-Identifier: MIT
// Gates that choose by the example, one a task: their smooth-step narrows while they train, a watch
// tells what goes wrong with them, then they are hardened, saved and loaded.

#include <selgate/io/weights.hpp>
#include <selgate/selgate.hpp>

#include <iostream>

using namespace selgate;

constexpr Index features = 8, experts = 8, batch = 64, steps = 1500;

auto make_model(std::uint64_t seed) {
  Rng rng(seed);
  DenseBank<float> bank({.in_features = features, .out_features = 8, .num_experts = experts}, rng);
  GateBank<Dense<float>, DSelectKHead<float>> gates(
      {.in_features = features, .num_experts = experts, .k = 2, .entropy_weight = 0.01}, 2, rng);
  const Dense<float> tower({.in_features = 8, .out_features = 1}, rng);
  return MultiTask(MultiGateMixture(std::move(bank), std::move(gates)), std::vector{tower, tower},
                   {SquaredError<float>{}, SquaredError<float>{}}, {0.5, 0.5});
}

int main() {
  // What a task wants depends on the sign of an input: the first one's, or the second's.
  Rng rng(1);
  Matrix<float> x(features, batch), labels(2, batch);
  auto draw = [&] {
    x = uniform<float>(features, batch, rng);
    for (Index b = 0; b < batch; ++b) {
      labels(0, b) = x(0, b) > 0 ? 2 * x(2, b) : -2 * x(3, b);
      labels(1, b) = x(1, b) > 0 ? 2 * x(2, b) : -2 * x(4, b);
    }
  };

  using Model = decltype(make_model(1));
  Trainer<Model, Adam<Model>> trainer(make_model(1), AdamOptions{.learning_rate = 5e-3}, batch, 1);
  auto& gates = trainer.model.body.gates;
  const auto& seen = trainer.cache().body;  // by the last pass
  const Schedule gamma = Schedule::exponential(1, 0.1, steps / 2, steps);
  DSelectKWatch watch(steps / 10);  // a choice before that step would be noise
  for (Index step = 0; step < steps; ++step) {
    gates.head().set_gamma(gamma(trainer.context.step));
    draw();
    if (step % 100 == 0) {  // before the first step too: raw pixels would be told here
      trainer.predict(x);
      for (const auto& text : watch.observe(step, gates.head(), gates.logits(seen.gate, batch)))
        std::cout << "warning: " << text << '\n';
    }
    const Objective& objective = trainer.step(x, {labels});
    if (step % 500 == 0 || step == steps - 1)
      std::cout << "step " << step << ": squared errors " << objective.losses[0] << ' '
                << objective.losses[1] << ", " << describe(watch.last());
  }

  gates.head().harden();  // from here on every example has at most k experts
  draw();
  trainer.predict(x);
  for (Index t = 0; t < 2; ++t) {
    std::cout << "\nhardened, task " << t << ": squared error "
              << (trainer.model.prediction(trainer.cache(), t) - labels.row(t)).squaredNorm() /
                     batch
              << ", " << describe(report(seen.weights, t, 2));
  }

  // Parameters go into the file, and what else was moved: gamma, and that the gates are hardened.
  save_weights("watch_harden_save.safetensors", trainer.model, {{"task", "signs"}});
  Model loaded = make_model(2);
  load_weights("watch_harden_save.safetensors", loaded);
  auto cache = loaded.make_cache(batch);
  loaded.forward(Context{}, x, cache);
  const bool same = loaded.prediction(cache, 0) == trainer.model.prediction(trainer.cache(), 0) &&
                    loaded.prediction(cache, 1) == trainer.model.prediction(trainer.cache(), 1);
  std::cout << "\nloaded: " << (same ? "the same predictions" : "OTHER PREDICTIONS") << '\n';
  return same ? 0 : 1;
}
