// SPDX-License-Identifier: MIT
#include <selgate/io/weights.hpp>

#include <selgate/gate/dselect_k_head.hpp>
#include <selgate/gate/gate_bank.hpp>
#include <selgate/layer/dense.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "catch.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

using selgate::checkpoint_error;
using selgate::Dense;
using selgate::Index;
using selgate::load_weights;
using selgate::Matrix;
using selgate::read_metadata;
using selgate::Rng;
using selgate::save_weights;
using selgate::Shape;
using selgate::Vector;
using selgate::test::message_of;
using selgate::test::read_text;
using selgate::test::TemporaryDirectory;

namespace {

/// Children with and without numbers, a leaf of three dimensions and one of no values.
template <class S>
struct Nested {
  static Nested random(std::uint64_t seed) {
    Rng rng(seed);
    Nested model;
    model.trunk.emplace_back(selgate::DenseOptions{.in_features = 4, .out_features = 3}, rng);
    for (int e = 0; e < 12; ++e) {
      model.experts.emplace_back(
          selgate::DenseOptions{.in_features = 3, .out_features = 2, .bias = e % 2 == 0}, rng);
    }
    model.w = selgate::uniform<S>(5, 2 * 3, rng);
    model.z = Matrix<S>(0, 2);
    return model;
  }

  Matrix<S> predict(const Matrix<S>& x) const {
    auto pass = [](const Dense<S>& layer, const Matrix<S>& in, Matrix<S>& out) {
      auto cache = layer.make_cache(in.cols());
      layer.forward({}, in, out, cache);
    };
    Matrix<S> h(3, x.cols()), y(2, x.cols()), sum = Matrix<S>::Zero(2, x.cols());
    pass(trunk[0], x, h);
    for (const Dense<S>& expert : experts) {
      pass(expert, h, y);
      sum += y;
    }
    return sum;
  }

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("trunk", selgate::no_index, m.trunk[0]...);
    for (Index e = 0; e < 12; ++e) f("experts", e, m.experts[static_cast<std::size_t>(e)]...);
    f("W", selgate::no_index, selgate::leaf(m.w, Shape{2, 3, 5})...);
    f("Z", selgate::no_index, selgate::leaf(m.z, Shape{2, 0})...);
  }

  std::vector<Dense<S>> trunk, experts;
  Matrix<S> w, z;
};

/// float and double side by side.
struct Mixed {
  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("a", selgate::no_index, selgate::leaf(m.a)...);
    f("b", selgate::no_index, selgate::leaf(m.b)...);
  }
  Vector<float> a = Vector<float>::Zero(3);
  Matrix<double> b = Matrix<double>::Zero(2, 3);
};

/// Leaves under names that come from outside.
template <class S>
struct Named {
  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    const Named& first = std::get<0>(std::tie(m...));
    for (std::size_t i = 0; i < first.names.size(); ++i) {
      f(first.names[i].c_str(), selgate::no_index, selgate::leaf(m.values[i])...);
    }
  }
  std::vector<std::string> names;
  std::vector<Vector<S>> values;
};
template <class S>
Named<S> named(const std::vector<std::string>& names, Index size = 2) {
  return {names, std::vector<Vector<S>>(names.size(), Vector<S>::Ones(size))};
}

template <class S, class M>
std::string bits(const M& model) {
  const Vector<S> values = selgate::pack<S>(model);
  std::string bytes(static_cast<std::size_t>(values.size()) * sizeof(S), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// What load_weights says about the file, without its name; the model must stay as it is.
template <class S, class M>
std::string load_refusal(const std::filesystem::path& path, M& model,
                         const selgate::LoadOptions& options = {}) {
  const std::string before = bits<S>(model);
  const std::string text =
      message_of<checkpoint_error>([&] { load_weights(path, model, options); });
  CHECK(bits<S>(model) == before);
  REQUIRE(text.starts_with(path.string() + ": "));
  return text.substr(path.string().size() + 2);
}

std::uint64_t header_size(const std::string& bytes) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  return 8 + length;
}

}  // namespace

TEMPLATE_TEST_CASE("weights: round trip", "", float, double) {
  using S = TestType;
  const TemporaryDirectory directory;
  const Nested<S> saved = Nested<S>::random(1);
  Nested<S> loaded = Nested<S>::random(2);
  Rng rng(3);
  const Matrix<S> x = selgate::uniform<S>(4, 7, rng);
  REQUIRE(loaded.predict(x) != saved.predict(x));

  save_weights(directory / "a", saved, {{"task", "digits"}, {"step", "10"}});
  const S* const storage = loaded.experts[3].weight.data();
  load_weights(directory / "a", loaded);
  CHECK(bits<S>(loaded) == bits<S>(saved));
  CHECK(loaded.predict(x) == saved.predict(x));
  CHECK(loaded.experts[3].weight.data() == storage);  // views of the model stay good

  save_weights(directory / "b", loaded, read_metadata(directory / "a"));
  CHECK(read_text(directory / "a") == read_text(directory / "b"));
  CHECK(read_metadata(directory / "b").at("task") == "digits");
}

TEMPLATE_TEST_CASE("weights: a multi-gate mixture", "", float, double) {
  using S = TestType;
  using Gates = selgate::GateBank<Dense<S>, selgate::DSelectKHead<S>>;
  using Mixture = selgate::MultiGateMixture<selgate::DenseBank<S>, Gates>;
  const TemporaryDirectory directory;
  for (const Index num_experts : {1, 5, 8}) {  // one expert: codes of no bits, leaves of no values
    const auto make = [&](std::uint64_t seed) {
      Rng rng(seed);
      selgate::DenseBank<S> experts(
          {.in_features = 4, .out_features = 3, .num_experts = num_experts}, rng);
      return Mixture(experts,
                     Gates({.in_features = 4, .num_experts = num_experts, .k = 1}, 2, rng));
    };
    const Mixture saved = make(1);
    Mixture loaded = make(2);
    save_weights(directory / "f", saved);
    load_weights(directory / "f", loaded);
    Rng rng(3);
    const Matrix<S> x = selgate::uniform<S>(4, 7, rng);
    const auto predict = [&](const Mixture& mixture) {
      auto cache = mixture.make_cache(7);
      Matrix<S> y(6, 7);
      mixture.forward({}, x, y, cache);
      return y;
    };
    CHECK(predict(loaded) == predict(saved));
    CHECK(predict(make(2)) != predict(saved));

    const selgate::SafetensorsFile file(directory / "f");
    const Index num_bits = num_experts == 1 ? 0 : 3;
    std::map<std::string, Shape> shapes;
    for (const selgate::Tensor& tensor : file.header().tensors) {
      shapes.emplace(tensor.name, tensor.shape);
    }
    CHECK(shapes.at("experts.0.weight") == Shape{3, 4});
    CHECK(shapes.at("gates.1.W") == Shape{1, num_bits, 4});
    CHECK(shapes.at("gates.1.G_bias") == Shape{1});
    CHECK(static_cast<Index>(shapes.size()) == 2 * num_experts + 2 * 4);
  }
}

TEST_CASE("weights: the bytes of a file") {
  const TemporaryDirectory directory;
  Mixed model;
  model.a << 1, -0.0f, 0.5f;
  model.b << 1, 2, 3, 4, 5, 6;  // in x out: the file shows (3, 2), one output's weights together
  save_weights(directory / "f", model);
  const std::string header = R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},)"
                             R"("b":{"dtype":"F64","shape":[3,2],"data_offsets":[12,60]}})";
  const auto scalar = [](auto value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  };
  std::string expected("\x70\0\0\0\0\0\0\0", 8);
  expected += header + std::string(112 - header.size(), ' ');
  expected += std::string("\0\0\x80\x3F\0\0\0\x80\0\0\0\x3F", 12);
  for (const double value : {1.0, 4.0, 2.0, 5.0, 3.0, 6.0}) expected += scalar(value);
  CHECK(read_text(directory / "f") == expected);

  Mixed loaded;
  load_weights(directory / "f", loaded);
  CHECK(loaded.a == model.a);
  CHECK(std::signbit(loaded.a[1]));
  CHECK(loaded.b == model.b);
}

TEST_CASE("weights: tensors have the paths and the order of visit") {
  const TemporaryDirectory directory;
  save_weights(directory / "f", Nested<float>::random(1));
  const selgate::SafetensorsFile file(directory / "f");
  std::vector<std::string> names;
  for (const selgate::Tensor& tensor : file.header().tensors) names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"trunk.weight",
                                          "trunk.bias",
                                          "experts.0.weight",
                                          "experts.0.bias",
                                          "experts.1.weight",
                                          "experts.2.weight",
                                          "experts.2.bias",
                                          "experts.3.weight",
                                          "experts.4.weight",
                                          "experts.4.bias",
                                          "experts.5.weight",
                                          "experts.6.weight",
                                          "experts.6.bias",
                                          "experts.7.weight",
                                          "experts.8.weight",
                                          "experts.8.bias",
                                          "experts.9.weight",
                                          "experts.10.weight",
                                          "experts.10.bias",
                                          "experts.11.weight",
                                          "W",
                                          "Z"});
  CHECK(file.header().tensors[20].shape == Shape{2, 3, 5});
  CHECK(file.header().tensors[21].shape == Shape{2, 0});
}

TEST_CASE("weights: any order of tensors loads") {
  const TemporaryDirectory directory;
  Named<float> saved = named<float>({"x", "y", "z"});
  for (int i = 0; i < 3; ++i) saved.values[static_cast<std::size_t>(i)] *= static_cast<float>(i);
  save_weights(directory / "f", saved);
  Named<float> loaded = named<float>({"z", "x", "y"});
  load_weights(directory / "f", loaded);
  CHECK(loaded.values[0] == saved.values[2]);
  CHECK(loaded.values[1] == saved.values[0]);
  CHECK(loaded.values[2] == saved.values[1]);
}

TEST_CASE("weights: a model without parameters") {
  const TemporaryDirectory directory;
  selgate::Empty model;
  save_weights(directory / "f", model);
  CHECK(read_text(directory / "f").size() == 16);
  CHECK_NOTHROW(load_weights(directory / "f", model));
  CHECK(read_metadata(directory / "f").empty());
}

TEST_CASE("weights: tensors missing or too many") {
  const TemporaryDirectory directory;
  save_weights(directory / "f", named<float>({"a", "b", "c"}));
  auto other = named<float>({"a", "B", "c", "d"});
  CHECK(
      load_refusal<float>(directory / "f", other) ==
      R"(byte 8: tensors: expected those of the model, found missing 2: "B", "d"; unexpected 1: "b")");
  auto fewer = named<float>({"a", "b"});
  CHECK(load_refusal<float>(directory / "f", fewer) ==
        R"(byte 8: tensors: expected those of the model, found missing 0; unexpected 1: "c")");
  auto many = named<float>({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"});
  CHECK(
      load_refusal<float>(directory / "f", many) ==
      R"(byte 8: tensors: expected those of the model, found missing 10: "1", "2", "3", "4", "5", )"
      R"("6", "7", "8" and 2 more; unexpected 3: "a", "b", "c")");
}

TEST_CASE("weights: another shape") {
  const TemporaryDirectory directory;
  Rng rng(1);
  save_weights(directory / "f", Dense<float>({.in_features = 4, .out_features = 3}, rng));
  Dense<float> swapped({.in_features = 3, .out_features = 4}, rng);
  CHECK(load_refusal<float>(directory / "f", swapped) ==
        "byte 9: tensor \"weight\": shape: expected [4,3], found [3,4]");

  save_weights(directory / "f", Nested<float>::random(1));
  Nested<float> flat = Nested<float>::random(1);
  const std::string bytes = read_text(directory / "f");
  std::string header = bytes.substr(0, header_size(bytes));
  const std::size_t at = header.find("[2,3,5]");
  const std::size_t name = header.find("\"W\"");
  REQUIRE(at != header.npos);
  directory.write("f", header.replace(at, 7, "[6,  5]") + bytes.substr(header.size()));
  CHECK(load_refusal<float>(directory / "f", flat) ==
        "byte " + std::to_string(name) + ": tensor \"W\": shape: expected [2,3,5], found [6,5]");
}

TEST_CASE("weights: another type only on demand") {
  const TemporaryDirectory directory;
  auto in_float = named<float>({"a"}, 3);
  auto in_double = named<double>({"a"}, 3);
  in_double.values[0] << 0.1, -2, 1e-60;
  save_weights(directory / "double", in_double);
  CHECK(load_refusal<float>(directory / "double", in_float) ==
        "byte 9: tensor \"a\": dtype: expected F32 (or LoadOptions::convert), found F64");
  load_weights(directory / "double", in_float, {.convert = true});
  CHECK(in_float.values[0][0] == 0.1f);
  CHECK(in_float.values[0][1] == -2.0f);
  CHECK(in_float.values[0][2] == 0.0f);

  save_weights(directory / "float", in_float);
  CHECK(load_refusal<double>(directory / "float", in_double) ==
        "byte 9: tensor \"a\": dtype: expected F64 (or LoadOptions::convert), found F32");
  load_weights(directory / "float", in_double, {.convert = true});
  CHECK(in_double.values[0][0] == static_cast<double>(0.1f));

  in_double.values[0][1] = -1e39;
  save_weights(directory / "double", in_double);
  for (const bool allow : {false, true}) {  // infinity is not what the file says
    CHECK(load_refusal<float>(directory / "double", in_float,
                              {.convert = true, .allow_nonfinite = allow}) ==
          "byte 72: tensor \"a\": element 1: expected a finite number in F32, found -1e+39");
  }
}

TEMPLATE_TEST_CASE("weights: values that are not finite", "", float, double) {
  using S = TestType;
  using Limits = std::numeric_limits<S>;
  const TemporaryDirectory directory;
  const std::vector<std::pair<S, std::string>> bad{
      {Limits::infinity(), "inf"}, {-Limits::infinity(), "-inf"}, {Limits::quiet_NaN(), "nan"}};
  for (const auto& entry : bad) {
    for (const Index place : {0, 1, 4}) {
      Named<S> saved = named<S>({"a", "b"}, 5), loaded = named<S>({"a", "b"}, 5);
      saved.values[1][place] = entry.first;
      save_weights(directory / "f", saved);
      const std::size_t byte =
          read_text(directory / "f").size() - static_cast<std::size_t>(5 - place) * sizeof(S);
      CHECK(load_refusal<S>(directory / "f", loaded) ==
            "byte " + std::to_string(byte) + ": tensor \"b\": element " + std::to_string(place) +
                ": expected a finite number in " + (sizeof(S) == 4 ? "F32" : "F64") + ", found " +
                entry.second);
      load_weights(directory / "f", loaded, {.allow_nonfinite = true});
      CHECK(bits<S>(loaded) == bits<S>(saved));
    }
  }
  Named<S> extreme = named<S>({"a"}, 4), loaded = named<S>({"a"}, 4);
  extreme.values[0] << Limits::max(), Limits::lowest(), Limits::denorm_min(), -S(0);
  save_weights(directory / "f", extreme);
  load_weights(directory / "f", loaded);
  CHECK(bits<S>(loaded) == bits<S>(extreme));
}

TEST_CASE("weights: every single changed bit") {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory / "f";
  Rng rng(1);
  const Dense<float> saved({.in_features = 2, .out_features = 2}, rng);
  const std::map<std::string, std::string> no_metadata, metadata{{"task", "x y"}};
  for (const bool with_metadata : {false, true}) {
    save_weights(path, saved, with_metadata ? metadata : no_metadata);
    const std::string good = read_text(path);
    const std::size_t values = header_size(good);
    const std::size_t text_begin = with_metadata ? good.find("task") : values;
    const std::size_t text_end = with_metadata ? good.find("x y") + 3 : values;
    int accepted = 0;
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string bytes = good;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      directory.write("f", bytes);
      Dense<float> loaded = selgate::zeros_like(saved);
      bool refused = false;
      try {
        load_weights(path, loaded);
      } catch (const checkpoint_error&) {
        refused = true;
      }
      INFO("bit " << bit % 8 << " of byte " << bit / 8);
      if (bit / 8 >= values) {  // no checksum in the format: read as it stands, or not finite
        CHECK(bits<float>(loaded) ==
              (refused ? bits<float>(selgate::zeros_like(saved)) : bytes.substr(values)));
      } else if (refused) {
        CHECK(bits<float>(loaded) == bits<float>(selgate::zeros_like(saved)));
      } else {  // the metadata may say anything
        CHECK((bit / 8 >= text_begin && bit / 8 < text_end));
        CHECK(bits<float>(loaded) == bits<float>(saved));
        ++accepted;
      }
    }
    CHECK((accepted > 0) == with_metadata);
  }
}

TEST_CASE("weights: a damaged file changes nothing") {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory / "f";
  save_weights(path, Nested<double>::random(1));
  const std::string good = read_text(path);
  Nested<double> model = Nested<double>::random(2);
  for (std::size_t size = 0; size < good.size(); size += 7) {
    directory.write("f", good.substr(0, size));
    load_refusal<double>(path, model);
  }
  for (std::size_t more = 1; more <= 64; ++more) {
    directory.write("f", good + std::string(more, ' '));
    load_refusal<double>(path, model);
  }
  directory.write("f", good);
  load_weights(path, model);
  CHECK(bits<double>(model) == bits<double>(Nested<double>::random(1)));
}

TEST_CASE("weights: a value is refused after others were read") {
  const TemporaryDirectory directory;
  Nested<float> bad = Nested<float>::random(1);
  bad.w(4, 5) = std::numeric_limits<float>::quiet_NaN();
  save_weights(directory / "f", bad);
  Nested<float> model = Nested<float>::random(2);
  CHECK_THAT(load_refusal<float>(directory / "f", model),
             Catch::Matchers::ContainsSubstring("tensor \"W\": element 29: expected a finite"));
}

TEST_CASE("weights: what the system refuses") {
  const TemporaryDirectory directory;
  Nested<float> model = Nested<float>::random(1);
  const std::string before = bits<float>(model);
  CHECK_THROWS_AS(load_weights(directory / "none", model), selgate::io_error);
  CHECK_THROWS_AS(load_weights(directory.path(), model), selgate::io_error);
  CHECK_THROWS_AS(read_metadata(directory / "none"), selgate::io_error);
  CHECK_THROWS_AS(save_weights(directory.path(), model), selgate::io_error);
  CHECK_THROWS_AS(save_weights(directory / "none/f", model), selgate::io_error);
  CHECK(bits<float>(model) == before);
  CHECK(directory.names().empty());
}

TEST_CASE("weights: what no file can hold is not written") {
  const TemporaryDirectory directory;
  directory.write("f", "old");
  const auto model = named<float>({"a", "b", "a"});
  CHECK(message_of<selgate::config_error>([&] { save_weights(directory / "f", model); }) ==
        "safetensors header: byte 116: header: expected each name once, found \"a\" again");
  CHECK_THROWS_AS(save_weights(directory / "f", named<float>({"a"}), {{"key", "\xFF"}}),
                  selgate::config_error);
  CHECK(read_text(directory / "f") == "old");
  CHECK(directory.names() == std::vector<std::string>{"f"});
}
