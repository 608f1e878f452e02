// SPDX-License-Identifier: MIT
#include <selgate/io/state.hpp>

#include "catch.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

#include <selgate/gate/gate.hpp>
#include <selgate/io/weights.hpp>
#include <selgate/layer/sequential.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>

namespace selgate {
namespace {

using test::message_of;
using test::read_text;
using test::TemporaryDirectory;

constexpr Index state_features = 3, state_batch = 9;

/// Inputs wide enough that selectors differ in their bits.
template <class G>
auto predict(const G& gate) {
  using S = typename G::Scalar;
  Rng rng(5);
  const Matrix<S> x = uniform<S>(state_features, state_batch, rng, -20, 20);
  auto cache = gate.make_cache(state_batch);
  auto weights = gate.make_output(state_batch);
  gate.forward(Context{}, x, weights, cache);
  return weights.to_dense();
}

/// A gate whose head was moved predicts the same bits once loaded into one that was not.
template <class G, class Move>
void check(const typename G::Options& options, typename G::Options loaded_options,
           const Move& move) {
  const TemporaryDirectory directory;
  Rng rng(1);
  G saved(options, rng), loaded(loaded_options, rng);
  const auto unmoved = predict(saved);
  move(saved.head());
  save_weights(directory / "f", saved, {{"task", "digits"}});
  load_weights(directory / "f", loaded);
  CHECK(predict(loaded) == predict(saved));
  CHECK(predict(saved) != unmoved);
  save_weights(directory / "g", loaded, read_metadata(directory / "f"));
  CHECK(read_text(directory / "f") == read_text(directory / "g"));
}
template <class G, class Move>
void check(const typename G::Options& options, const Move& move) {
  check<G>(options, options, move);
}

/// The file's metadata replaced.
void rewrite(const std::filesystem::path& path, const detail::Metadata& metadata) {
  const SafetensorsFile file(path);
  SafetensorsHeader header = file.header();
  std::string values(header.data_size(), '\0');
  for (const Tensor& tensor : header.tensors) file.read(tensor, values.data() + tensor.begin);
  header.metadata = metadata;
  const std::string text = detail::header_text(header);
  const std::uint64_t length = text.size();
  AtomicFile replaced(path);
  replaced.write(&length, sizeof length);
  replaced.write(text.data(), text.size());
  replaced.write(values.data(), values.size());
  replaced.commit();
}

}  // namespace

TEMPLATE_TEST_CASE("state: heads that were moved, loaded, predict the same bits", "", float,
                   double) {
  using S = TestType;
  const DSelectKOptions d{.in_features = state_features, .num_experts = 6, .k = 2};
  const DSelectKOptions wide{.num_experts = 6, .k = 2, .code_range = 0.7};
  const auto set_gamma = [](auto& head) { head.set_gamma(0.1 + 0.2); };
  const auto harden = [](auto& head) { head.harden(); };
  check<DSelectKGate<S>>(d, set_gamma);
  check<DSelectKGate<S>>(d, harden);
  check<StaticDSelectKGate<S>>(wide, set_gamma);
  check<StaticDSelectKGate<S>>(wide, harden);

  check<TopKGate<S>>({.in_features = state_features, .num_experts = 6, .k = 2},
                     [](auto& head) { head.set_k(4); });
  check<StaticTopKGate<S>>({.num_experts = 6, .k = 2}, [](auto& head) { head.set_k(1); });

  const SoftmaxSelectorOptions s{.in_features = state_features, .num_experts = 6, .k = 2};
  const auto cool = [](auto& head) { head.set_temperature(1e-16); };
  check<SoftmaxSelectorGate<S>>(s, cool);
  check<SoftmaxSelectorGate<S>>(s, harden);
  check<StaticSoftmaxSelectorGate<S>>(s, cool);
  check<StaticSoftmaxSelectorGate<S>>(s, harden);
}

TEST_CASE("state: spare codes are sent where the saved gate sent them") {
  DSelectKOptions saved{
      .in_features = state_features, .num_experts = 5, .k = 2, .spare_codes = SpareCodes::random};
  saved.spare_seed = ~std::uint64_t{0};
  DSelectKOptions loaded = saved;
  loaded.spare_seed = 3;
  check<DSelectKGate<double>>(saved, loaded, [](auto& head) { head.set_gamma(30); });
}

TEST_CASE("state: keys are the paths of the modules") {
  const TemporaryDirectory directory;
  Rng rng(1);
  using Gates = GateBank<Dense<float>, DSelectKHead<float>>;
  DenseBank<float> bank({.in_features = 4, .out_features = 3, .num_experts = 5}, rng);
  Gates gates({.in_features = 4, .num_experts = 5, .k = 2, .gamma = 0.3}, 1, rng);
  Sequential model(Dense<float>({.in_features = 4, .out_features = 4}, rng),
                   MultiGateMixture(std::move(bank), std::move(gates)));
  save_weights(directory / "f", model, {{"task", "digits"}});
  CHECK(SafetensorsFile(directory / "f").header().metadata ==
        detail::Metadata{{"task", "digits"},
                         {"selgate.1.gates.gamma", "0.3"},
                         {"selgate.1.gates.hardened", "false"},
                         {"selgate.1.gates.spare_seed", "0"}});
  CHECK(read_metadata(directory / "f") == detail::Metadata{{"task", "digits"}});
  CHECK(message_of<config_error>([&] {
          save_weights(directory / "f", model, {{"selgate.gamma", "1"}});
        }) ==
        "weights: key of the metadata: expected none under \"selgate.\", got "
        "\"selgate.gamma\"");
}

TEST_CASE("state: a file that says nothing of it loads, and moves none") {
  const TemporaryDirectory directory;
  Rng rng(1);
  const DSelectKOptions options{.in_features = state_features, .num_experts = 6, .k = 2};
  DSelectKGate<double> saved(options, rng), loaded(options, rng);
  save_weights(directory / "f", saved);
  rewrite(directory / "f", {{"gamma", "no number"}});
  for (auto* gate : {&saved, &loaded}) {
    gate->head().set_gamma(0.5);
    gate->head().harden();
  }
  load_weights(directory / "f", loaded);
  CHECK(predict(loaded) == predict(saved));
  CHECK(loaded.head().hardened());
}

TEST_CASE("state: hostile values are refused, and nothing is loaded") {
  const TemporaryDirectory directory;
  Rng rng(1);
  auto refusal = [&](auto& saved, auto& loaded, const std::string& key, const std::string& text) {
    save_weights(directory / "f", saved);
    detail::Metadata metadata = SafetensorsFile(directory / "f").header().metadata;
    for (auto& [name, value] : metadata) {
      if (value == "false") value = "true";  // would be seen in the predictions
    }
    metadata[key] = text;
    rewrite(directory / "f", metadata);
    const auto before = predict(loaded);
    const auto state = [&loaded] {
      detail::Metadata all;
      detail::add_state(loaded, all);
      return all;
    };
    const auto state_before = state();
    const std::string message =
        message_of<checkpoint_error>([&] { load_weights(directory / "f", loaded); });
    CHECK(predict(loaded) == before);
    CHECK(state() == state_before);
    return message.substr((directory / "f").string().size() + 2);
  };
  const DSelectKOptions options{.in_features = state_features, .num_experts = 6, .k = 2};
  const DSelectKGate<float> saved(options, rng);
  DSelectKGate<float> loaded(options, rng);
  for (const char* text : {"", "one", " 1", "1 ", "+1", "1e999", "0x1", "1,5"}) {
    CHECK(refusal(saved, loaded, "selgate.gamma", text) ==
          "byte 8: metadata \"selgate.gamma\": expected a number, found \"" + std::string(text) +
              "\"");
  }
  for (const char* text : {"0", "-1", "inf", "nan", "1e-60"}) {  // the last is 0 in float
    CHECK(refusal(saved, loaded, "selgate.gamma", text)
              .starts_with("byte 8: metadata \"selgate.gamma\": expected a value that the model "
                           "takes, found \"" +
                           std::string(text) +
                           "\" (DSelect-k gate: gamma: expected a finite number > 0"));
  }
  for (const char* text : {"", "1", "True", "false "}) {
    CHECK(refusal(saved, loaded, "selgate.hardened", text) ==
          "byte 8: metadata \"selgate.hardened\": expected true or false, found \"" +
              std::string(text) + "\"");
  }
  for (const char* text : {"", "-1", "1.5", "18446744073709551616"}) {
    CHECK(refusal(saved, loaded, "selgate.spare_seed", text) ==
          "byte 8: metadata \"selgate.spare_seed\": expected an integer, found \"" +
              std::string(text) + "\"");
  }
  CHECK(refusal(saved, loaded, "selgate.temperature", "1") ==
        "byte 8: metadata: expected state of the model alone under \"selgate.\", found "
        "\"selgate.temperature\"");

  const TopKOptions top_k{.in_features = state_features, .num_experts = 6, .k = 2};
  const TopKGate<float> saved_k(top_k, rng);
  TopKGate<float> loaded_k(top_k, rng);
  for (const char* text : {"0", "-1", "7"}) {
    CHECK(refusal(saved_k, loaded_k, "selgate.k", text) ==
          "byte 8: metadata \"selgate.k\": expected a value that the model takes, found \"" +
              std::string(text) + "\" (top-k gate: k: expected 1..6 (num_experts), got " + text +
              ")");
  }
  // A gate of another kind, with parameters of the same names.
  SoftmaxGate<float> softmax({.in_features = state_features, .num_experts = 6}, rng);
  CHECK(refusal(saved_k, softmax, "selgate.k", "2") ==
        "byte 8: metadata: expected state of the model alone under \"selgate.\", found "
        "\"selgate.k\"");
}

}  // namespace selgate
