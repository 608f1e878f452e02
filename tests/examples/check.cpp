// SPDX-License-Identifier: MIT
#include "check/check.hpp"

#include "check/check_gate.hpp"

#include "catch.hpp"
#include "temporary_directory.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#ifndef SELGATE_GOLDEN_DIR
#define SELGATE_GOLDEN_DIR "tests/golden"
#endif

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using nlohmann::json;
using selgate::config_error;
using selgate::data_error;
using selgate::Storage;
using selgate::examples::CaseResult;
using selgate::examples::check_case;
using selgate::examples::check_files;
using selgate::examples::CheckOptions;
using selgate::examples::JsonField;
using selgate::examples::read_json;
using selgate::test::TemporaryDirectory;

namespace {

std::vector<std::string> golden_files() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(SELGATE_GOLDEN_DIR)) {
    if (entry.path().extension() == ".json") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}
json golden(const std::string& name) {
  return read_json(std::string(SELGATE_GOLDEN_DIR) + "/" + name + ".json");
}

double error_of(const CaseResult& result, const std::string& quantity) {
  for (const auto& [name, error] : result.quantities) {
    if (name == quantity) return error;
  }
  FAIL("no quantity " << quantity);
  return 0;
}

/// What a case is refused with.
std::string refusal(const json& file) {
  try {
    check_case(file);
  } catch (const data_error& problem) {
    return problem.what();
  }
  return "nothing";
}
/// The same for a golden case after an edit.
std::string refusal(const std::string& name, const std::function<void(json&)>& edit) {
  json file = golden(name);
  edit(file);
  return refusal(file);
}

/// The first number in nested arrays.
json& first_number(json& value) { return value.is_array() ? first_number(value.at(0)) : value; }

void reverse_each(json& lists) {
  for (json& list : lists) std::reverse(list.begin(), list.end());
}

}  // namespace

TEST_CASE("check: every reference case, in double, dense and routed") {
  const std::vector<std::string> paths = golden_files();
  REQUIRE(paths.size() > 100);
  for (const std::string& path : paths) {
    const json file = read_json(path);
    for (const Storage storage : {Storage::dense, Storage::routing}) {
      const CaseResult result = check_case(file, path, storage);
      CAPTURE(path, result.worst().name);
      CHECK(result.name == file.at("case"));
      // Some hundred operations of rounding 1e-16, times 20 for selectors at temperature 0.05.
      CHECK(result.worst().error <= 1e-12);

      std::set<std::string> expected = {"weights", "objective"};
      for (const char* list : {"regularizers", "gradients"}) {
        for (const auto& member : file.at(list).items()) {
          expected.insert(list + ("." + member.key()));
        }
      }
      if (file.contains("targets")) expected.insert({"predictions", "losses"});
      std::set<std::string> compared;
      for (const auto& quantity : result.quantities) compared.insert(quantity.name);
      CHECK(compared == expected);
    }
  }
}

TEST_CASE("check: every reference gate, in float") {
  for (const std::string& path : golden_files()) {
    const json value = read_json(path);
    if (value.contains("targets")) continue;
    for (const Storage storage : {Storage::dense, Storage::routing}) {
      const JsonField file(value, path);
      CaseResult result;
      selgate::examples::with_gate_types<float>(
          file, [&]<class Map, class Head>(std::type_identity<Map>, std::type_identity<Head>) {
            selgate::examples::check_gate<Map, Head>(file, storage, result);
          });
      CAPTURE(path);
      // Weights are at most 1, of some ten roundings of 6e-8 (the largest error is 1.5e-7).
      CHECK(error_of(result, "weights") <= 1e-6);
    }
  }
}

TEST_CASE("check: a wrong number is found, wherever it is") {
  for (const char* name : {"dselect_k_n5_k2_mixed", "mmoe_dselect_k_static_n5_k2"}) {
    const json right = golden(name);
    std::vector<std::string> places = {"/weights", "/objective"};
    for (const char* list : {"regularizers", "gradients"}) {
      for (const auto& member : right.at(list).items()) {
        places.push_back("/" + (list + ("/" + member.key())));
      }
    }
    if (right.contains("targets")) places.insert(places.end(), {"/predictions", "/losses"});
    for (const std::string& place : places) {
      json wrong = right;
      json& number = first_number(wrong.at(json::json_pointer(place)));
      const double value = number;
      number = value + 1e-3 * std::max(1.0, std::abs(value));
      std::string quantity = place.substr(1);
      std::replace(quantity.begin(), quantity.end(), '/', '.');
      const CaseResult result = check_case(wrong);
      CHECK(result.worst().name == quantity);
      CHECK_THAT(result.worst().error, Catch::Matchers::WithinRel(1e-3, 1e-2));
    }
    // What the numbers were computed from counts as well.
    json wrong = right;
    wrong["options"]["gamma"] = 1.01;
    CHECK(check_case(wrong).worst().error > 1e-4);
  }
}

TEST_CASE("check: not a number is infinitely far from one") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  CaseResult result;
  result.compare("nan", {1, 2, 3}, [](std::size_t i) { return i == 1 ? nan : 0; });
  result.compare("relative", {-4, 0.5}, [](std::size_t i) { return i == 0 ? -4.4 : 0.55; });
  result.compare("nothing", {}, [](std::size_t) { return nan; });
  CHECK(result.quantities[0].error == infinity);
  CHECK_THAT(result.quantities[1].error, Catch::Matchers::WithinRel(0.1, 1e-12));
  CHECK(result.quantities[2].error == 0);
  CHECK(result.worst().name == "nan");
}

TEST_CASE("check: a single expert") {
  const json file = json::parse(R"({"case": "one expert", "gate": "dselect_k",
    "options": {"n": 1, "k": 1, "gamma": 2, "lambda": 1, "xi": 1, "static": false},
    "x": [[0.5, -1], [2, 3]], "upstream": [[3], [-5]], "weights": [[1], [1]],
    "params": {"G": [[7, 1]], "G_bias": [1], "W": [[]], "W_bias": [[]]},
    "regularizers": {"total": 0, "entropy": 0, "entropy_reachable": 0, "inverse_mass": 1},
    "objective": -2,
    "gradients": {"G": [[0, 0]], "G_bias": [0], "W": [[]], "W_bias": [[]],
                  "x": [[0, 0], [0, 0]]}})");
  CHECK(check_case(file).worst().error == 0);
  CHECK(check_case(file, "", Storage::routing).worst().error == 0);
}

TEST_CASE("check: a per-example softmax selector with maps of zero is the static one") {
  json file = golden("softmax_selector_cold_n3_k3");
  const json one = file;
  file["options"]["static"] = false;
  file["x"] = json::array({{2, -0.5}});
  const json zeros = {0, 0};
  file["params"] = {{"G_bias", one["params"]["alpha"]}, {"B_bias", one["params"]["beta"]}};
  file["params"]["G"] = {zeros, zeros, zeros};
  file["params"]["B"] = json(3, json(3, zeros));
  for (const char* key : {"upstream", "weights"}) file[key] = json::array({one[key]});
  json gradients = {{"x", json::array({zeros})},
                    {"G_bias", one["gradients"]["alpha"]},
                    {"B_bias", one["gradients"]["beta"]}};
  auto times_x = [](double dlogit) { return json{2 * dlogit, -0.5 * dlogit}; };
  for (std::size_t i = 0; i < 3; ++i) {
    gradients["G"].push_back(times_x(one["gradients"]["alpha"][i]));
    for (std::size_t e = 0; e < 3; ++e) {
      gradients["B"][i].push_back(times_x(one["gradients"]["beta"][i][e]));
    }
  }
  file["gradients"] = gradients;
  const CaseResult result = check_case(file);
  CAPTURE(result.worst().name);
  CHECK(result.worst().error <= 1e-12);
}

TEST_CASE("check: a model with the most significant bits first") {
  for (const char* name : {"mmoe_dselect_k_n5_k2", "mmoe_dselect_k_static_n5_k2"}) {
    json file = golden(name);
    file["options"]["bit_order"] = "msb";
    CHECK(check_case(file).worst().error > 1e-3);
    for (const char* list : {"params", "gradients"}) {
      for (auto& member : file[list].items()) {
        const std::string& key = member.key();
        if (key.ends_with(".W") || key.ends_with(".W_bias") || key.ends_with(".Z")) {
          reverse_each(member.value());
        }
      }
    }
    CHECK(check_case(file).worst().error <= 1e-12);
  }
}

TEST_CASE("check: options that may be absent") {
  json gate = golden("dselect_k_n5_k2_mixed");
  for (const char* key : {"entropy", "codes", "bit_order"}) gate["options"].erase(key);
  CHECK(check_case(gate).worst().error <= 1e-12);
  json static_gate = golden("top_k_static_n4_k2");
  static_gate.erase("x");
  static_gate["options"]["order"] = "softmax_of_kept";
  CHECK(check_case(static_gate).worst().error <= 1e-12);
  json few = golden("dselect_k_n5_k2_mixed");
  few["regularizers"] = {{"total", few["regularizers"]["total"]}};
  CHECK(check_case(few).worst().error <= 1e-12);
}

TEST_CASE("check: keys that are missing") {
  const std::string missing = ", found nothing (the key is missing)";
  for (const char* name : {"dselect_k_n5_k2_mixed", "softmax_selector_n3_k3", "mmoe_top_k_n4_k2"}) {
    const json right = golden(name);
    std::vector<std::string> places;
    for (const auto& member : right.items()) {
      if (!member.value().is_null()) places.push_back("/" + member.key());
      const std::set<std::string> lists = {"params", "gradients", "options"};
      if (!lists.contains(member.key())) continue;
      for (const auto& inner : member.value().items()) {
        const std::set<std::string> defaults = {"entropy", "codes", "bit_order"};
        if (!defaults.contains(inner.key()))
          places.push_back("/" + member.key() + "/" + inner.key());
      }
    }
    places.push_back("/regularizers/total");
    for (const std::string& place : places) {
      json wrong = right;
      const json::json_pointer pointer(place);
      wrong.at(pointer.parent_pointer()).erase(pointer.back());
      std::string path = place.substr(1);
      std::replace(path.begin(), path.end(), '/', '.');
      CAPTURE(place);
      CHECK_THAT(refusal(wrong),
                 StartsWith("case: " + path + ": value: expected ") && EndsWith(missing));
    }
  }
}

TEST_CASE("check: values of the wrong type, length or range") {
  auto of_gate = [](const std::function<void(json&)>& edit) {
    return refusal("dselect_k_n3_k3_mixed_fold", edit);
  };
  auto of_model = [](const std::function<void(json&)>& edit) {
    return refusal("mmoe_softmax_n4_k2", edit);
  };
  CHECK(refusal(json::array({1})) == "case: value: expected an object, found an array of length 1");
  CHECK(of_gate([](json& file) { file["case"] = 7; }) ==
        "case: case: value: expected a string, found 7");
  CHECK(of_gate([](json& file) { file["options"] = nullptr; }) ==
        "case: options: value: expected an object, found null");
  CHECK(of_gate([](json& file) {
          file["params"]["W"] = {{"a", 1}};
        }) == "case: params.W: value: expected an array, found an object");
  CHECK(of_gate([](json& file) { file["params"]["W"][1].push_back(0); }) ==
        "case: params.W[1]: length: expected 2, found 3");
  CHECK(of_gate([](json& file) { file["params"]["W"][1][0].erase(2); }) ==
        "case: params.W[1][0]: length: expected 3, found 2");
  CHECK(of_gate([](json& file) { file["params"]["W"][1][0][2] = "0.5"; }) ==
        "case: params.W[1][0][2]: value: expected a finite number, found \"0.5\"");
  CHECK(of_gate([](json& file) { file["params"]["W"][1][0] = 0.5; }) ==
        "case: params.W[1][0]: value: expected an array, found 0.5");
  CHECK(of_gate([](json& file) { file["x"][1].push_back(0); }) ==
        "case: x[1]: length: expected 3, found 4");
  CHECK(of_gate([](json& file) { file["x"] = json::array(); }) ==
        "case: x: value: expected at least one example, found an array of length 0");
  CHECK(of_gate([](json& file) { file["x"][0] = json::array(); }) ==
        "case: x[0]: value: expected at least one feature, found an array of length 0");
  CHECK(of_gate([](json& file) { file["upstream"].erase(0); }) ==
        "case: upstream: length: expected 4, found 3");
  CHECK(of_gate([](json& file) { file["gradients"]["x"][3].erase(0); }) ==
        "case: gradients.x[3]: length: expected 3, found 2");
  CHECK(of_gate([](json& file) { file["params"]["Gbias"] = 0; }) ==
        "case: params.Gbias: key: expected one of \"G\", \"G_bias\", \"W\", \"W_bias\", found "
        "another");
  CHECK_THAT(of_gate([](json& file) { file["regularizers"]["total_"] = 0; }),
             StartsWith("case: regularizers.total_: key: expected one of \"entropy\", ") &&
                 EndsWith("\"inverse_mass\", \"total\", found another"));
  CHECK(of_gate([](json& file) { file["objective"] = std::numeric_limits<double>::infinity(); }) ==
        "case: objective: value: expected a finite number, found inf");
  CHECK(of_gate([](json& file) { file["objective"] = {1.5}; }) ==
        "case: objective: value: expected a finite number, found an array of length 1");

  // Options.
  CHECK(of_gate([](json& file) { file["gate"] = "softmaz"; }) ==
        "case: gate: value: expected one of \"softmax\", \"top_k\", \"dselect_k\", "
        "\"softmax_selector\", found \"softmaz\"");
  CHECK(of_gate([](json& file) { file["options"]["entropy"] = 3; }) ==
        "case: options.entropy: value: expected one of \"all_codes\", \"reachable\", "
        "\"renormalised\", found 3");
  CHECK(of_gate([](json& file) { file["options"]["codes"] = "\1" + std::string(99, 'x'); }) ==
        "case: options.codes: value: expected one of \"penalty\", \"fold\", \"renormalise\", found "
        "\"\\u0001" +
            std::string(57, 'x') + "...");
  CHECK(of_gate([](json& file) { file["options"]["bit_order"] = "LSB"; }) ==
        "case: options.bit_order: value: expected one of \"lsb\", \"msb\", found \"LSB\"");
  CHECK(of_gate([](json& file) { file["options"]["static"] = 1; }) ==
        "case: options.static: value: expected true or false, found 1");
  CHECK(of_gate([](json& file) { file["options"]["n"] = 0; }) ==
        "case: options.n: value: expected an integer 1..2147483647, found 0");
  CHECK(of_gate([](json& file) { file["options"]["n"] = 1.5; }) ==
        "case: options.n: value: expected an integer 1..2147483647, found 1.5");
  CHECK(of_gate([](json& file) { file["options"]["n"] = 18446744073709551615u; }) ==
        "case: options.n: value: expected an integer 1..2147483647, found 18446744073709551615");
  CHECK(of_gate([](json& file) { file["options"]["n"] = 2000000000; }) ==
        "case: weights[0]: length: expected 2000000000, found 3");
  CHECK(of_gate([](json& file) { file["options"]["k"] = 4; }) ==
        "case: options.k: value: expected an integer 1..3, found 4");
  CHECK(of_gate([](json& file) { file["options"]["gamma"] = 0; }) ==
        "case: options.gamma: value: expected a finite number > 0, found 0");
  CHECK(of_gate([](json& file) { file["options"]["lambda"] = -1; }) ==
        "case: options.lambda: value: expected a finite number >= 0, found -1");
  CHECK(of_gate([](json& file) { file["options"]["xi"] = true; }) ==
        "case: options.xi: value: expected a finite number >= 0, found true");
  CHECK(refusal("top_k_n4_k2", [](json& file) { file["options"]["order"] = "any"; }) ==
        "case: options.order: value: expected one of \"softmax_of_kept\", \"kept_of_softmax\", "
        "found \"any\"");
  CHECK(refusal("softmax_selector_n3_k3", [](json& file) {
          file["options"]["temperature"] = -1.5;
        }) == "case: options.temperature: value: expected a finite number > 0, found -1.5");
  CHECK(refusal("softmax_static_n3",
                [](json& file) {
                  file["x"] = json::array({{1, 2}});
                }) ==
        "case: x: value: expected null (a static gate reads no examples), found an array of length "
        "1");

  // Models.
  CHECK(of_model([](json& file) { file["targets"][1][2] = 1.5; }) ==
        "case: targets[1][2]: value: expected a number 0..1, found 1.5");
  CHECK(of_model([](json& file) { file["targets"].erase(1); }) ==
        "case: targets: length: expected 2, found 1");
  CHECK(of_model([](json& file) { file["options"]["losses"][1] = "mse"; }) ==
        "case: options.losses[1]: value: expected one of \"squared_error\", "
        "\"binary_cross_entropy\", found \"mse\"");
  CHECK(of_model([](json& file) { file["options"]["losses"] = json::array(); }) ==
        "case: options.losses: value: expected at least one loss, found an array of length 0");
  CHECK(of_model([](json& file) { file["options"]["task_weights"] = {1}; }) ==
        "case: options.task_weights: length: expected 2, found 1");
  CHECK(of_model([](json& file) {
          file["options"]["task_weights"] = {0, 0};
        }) ==
        "case: options.task_weights: value: expected a weight > 0 among them, "
        "found an array of length 2");
  CHECK(of_model([](json& file) { file["options"]["task_weights"][1] = -1; }) ==
        "case: options.task_weights[1]: value: expected a finite number >= 0, found -1");
  CHECK(of_model([](json& file) { file["options"]["units"] = 2000000000; }) ==
        "case: params.expert0.bias: length: expected 2000000000, found 4");
  CHECK(of_model([](json& file) { file["options"]["tower_units"] = 2; }) ==
        "case: params.tower0.0.bias: length: expected 2, found 3");
  CHECK(of_model([](json& file) { file["params"]["gate1.A"][3].erase(0); }) ==
        "case: params.gate1.A[3]: length: expected 3, found 2");
  CHECK(of_model([](json& file) { file["params"]["expert4.bias"] = 0; }).substr(0, 66) ==
        "case: params.expert4.bias: key: expected one of \"expert0.weight\", ");
  CHECK(of_model([](json& file) { file["weights"][1][2].erase(0); }) ==
        "case: weights[1][2]: length: expected 4, found 3");
  CHECK(of_model([](json& file) { file["regularizers"]["total"] = 0; }) ==
        "case: regularizers.total: value: expected an array, found 0");
}

TEST_CASE("check: text that is not JSON") {
  const TemporaryDirectory directory;
  auto refusal_of_text = [&](const std::string& text) {
    const std::string path = directory.write("case.json", text).string();
    try {
      read_json(path);
    } catch (const data_error& problem) {
      CHECK(problem.file() == path);
      return std::string(problem.what()).substr(path.size());
    }
    return std::string("nothing");
  };
  CHECK_THAT(refusal_of_text(""), StartsWith(": byte 1: text: expected JSON, found parse error"));
  CHECK_THAT(refusal_of_text("{\"x\": [1, 2}"),
             StartsWith(": byte 12: text: expected JSON, found "));
  CHECK_THAT(refusal_of_text("[NaN]"), StartsWith(": byte 2: text: expected JSON, found "));
  CHECK_THAT(refusal_of_text("{} {}"), StartsWith(": byte 4: text: expected JSON, found "));
  CHECK_THAT(refusal_of_text("[1e999]"),
             StartsWith(": text: expected JSON, found number overflow"));
  CHECK(refusal_of_text("[1e308]") == "nothing");
}

TEST_CASE("check: exit codes and what is printed") {
  const TemporaryDirectory directory;
  json file = golden("dselect_k_static_n4_k2_mixed");
  file["case"] = "any name; \"even\" ünïcode\n";
  const std::string good = directory.write("good.json", file.dump()).string();
  file["objective"] = file["objective"].get<double>() + 0.5;
  const std::string off = directory.write("off.json", file.dump()).string();
  file["options"].erase("n");
  const std::string malformed = directory.write("malformed.json", file.dump()).string();
  json overflow = golden("softmax_n2");
  overflow["x"][0][0] = overflow["params"]["A"][0][0] = 1e308;
  const std::string overflows = directory.write("overflow.json", overflow.dump()).string();
  const std::string a_directory = directory.path().string();

  std::ostringstream out, errors;
  auto run = [&](const std::vector<std::string>& paths, const CheckOptions& options = {}) {
    out.str("");
    errors.str("");
    return check_files(paths, options, out, errors);
  };
  auto num_lines = [&] {
    const std::string text = out.str();
    return std::count(text.begin(), text.end(), '\n');
  };
  CHECK(run({good}) == 0);
  CHECK_THAT(out.str(), StartsWith("any name; \"even\" ünïcode\\x0a ") && EndsWith("\n"));
  CHECK(errors.str().empty());
  double error = 1;
  std::istringstream(out.str().substr(out.str().rfind(' '))) >> error;
  CHECK(error <= 1e-12);

  CHECK(run({good, off, good}) == 1);
  CHECK(num_lines() == 3);
  CHECK_THAT(errors.str(),
             StartsWith(off + ": objective: relative error: expected at most 1e-09, got 0."));
  CHECK(run({good, off}, {.tolerance = 0.5}) == 0);

  CHECK(run({off, malformed, good}) == 2);
  CHECK(num_lines() == 2);
  CHECK_THAT(errors.str(),
             EndsWith(malformed + ": options.n: value: expected an integer 1..2147483647, "
                                  "found nothing (the key is missing)\n"));
  CHECK(run({malformed, off}) == 2);

  CHECK(run({overflows}) == 2);
  CHECK_THAT(errors.str(), StartsWith(overflows + ": softmax gate: logit in row 0, column 0: "));

  CHECK(run({a_directory}) == 2);
  CHECK(errors.str() == a_directory + ": expected a regular file: Is a directory\n");
  CHECK(run({a_directory + "/none.json"}) == 2);
  CHECK(errors.str() == a_directory + "/none.json: open for reading: No such file or directory\n");
  CHECK(run({}) == 0);

  CHECK(run({good}, {.verbose = true}) == 0);
  for (const char* quantity :
       {"weights", "regularizers.entropy_reachable", "objective", "gradients.Z"}) {
    CHECK_THAT(out.str(), ContainsSubstring("\n  " + std::string(quantity) + " "));
  }
  for (const double tolerance : {-1.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS(run({good}, {.tolerance = tolerance}), config_error);
  }
}
