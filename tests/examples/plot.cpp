// SPDX-License-Identifier: MIT
#include "train/plot.hpp"

#include "catch.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

#include <string>
#include <vector>

using selgate::Index;
using selgate::Matrix;
using selgate::shape_error;
using selgate::examples::cost_plot;
using selgate::examples::CostHistory;
using selgate::examples::expert_use_map;
using selgate::examples::expert_weight_plot;
using selgate::examples::HeatMap;
using selgate::examples::LinePlot;
using selgate::examples::WeightHistory;
using selgate::examples::write_plot;
using selgate::test::message_of;
using selgate::test::TemporaryDirectory;

namespace {

/// Three experts at four steps; `place` tells histories apart.
WeightHistory history(float place) {
  Matrix<float> weights(3, 4);
  weights << 0.25f, 0.125f, 0, 0,  //
      0.25f, 0.375f, 0.5f, place,  //
      0.5f, 0.5f, 0.5f, 1 - place;
  return {{0, 10, 20, 30}, weights};
}

}  // namespace

TEST_CASE("plot: expert weights over training, gates down and tasks across") {
  const std::vector<WeightHistory> histories = {history(0),      history(0.25f), history(0.5f),
                                                history(0.625f), history(0.75f), history(1)};
  const LinePlot plot =
      expert_weight_plot({"DSelect-k", "Top-k", "Softmax"}, {"task 1", "task 2"}, histories);
  CHECK(plot.rows == std::vector<std::string>{"DSelect-k", "Top-k", "Softmax"});
  CHECK(plot.columns == std::vector<std::string>{"task 1", "task 2"});
  REQUIRE(plot.panels.size() == 6);
  for (std::size_t p = 0; p < 6; ++p) {
    REQUIRE(plot.panels[p].size() == 3);
    CHECK(plot.panels[p][1].label == "1");
    CHECK(plot.panels[p][1].x == std::vector<double>{0, 10, 20, 30});
    CHECK(plot.panels[p][1].y ==
          std::vector<double>{0.25, 0.375, 0.5, double(histories[p].weights(1, 3))});
  }
  const TemporaryDirectory folder;
  const auto files = write_plot(plot, folder.path() / "weights");
  CHECK((files.problem.empty() || files.problem == "no picture drawn: gnuplot is not installed"));
}

TEST_CASE("plot: cost of a step in units of one gate's mean, instructions where all have them") {
  std::vector<CostHistory> costs = {{{4, 9}, {8, 2}, {60, 20}, {}}, {{4, 9}, {3, 5}, {15, 25}, {}}};
  const LinePlot plot = cost_plot({"DSelect-k", "Top-k"}, costs, 1);
  CHECK(plot.rows == std::vector<std::string>{"time", "counted FLOPs"});
  REQUIRE(plot.panels.size() == 2);
  CHECK(plot.panels[0][0].label == "DSelect-k");
  CHECK(plot.panels[0][0].x == std::vector<double>{4, 9});
  CHECK(plot.panels[0][0].y == std::vector<double>{2, 0.5});
  CHECK(plot.panels[1][1].y == std::vector<double>{0.75, 1.25});
  CHECK(plot.y_label == "in units of Top-k's mean");
  CHECK(plot.y_range.value()[0] == 0);
  CHECK(plot.y_range.value()[1] > 3);

  costs[0].instructions = {7, 1};
  CHECK(cost_plot({"DSelect-k", "Top-k"}, costs, 1).rows.size() == 2);
  costs[1].instructions = {1, 3};
  const LinePlot all = cost_plot({"DSelect-k", "Top-k"}, costs, 1);
  CHECK(all.rows.back() == "instructions");
  CHECK(all.panels[2][0].y == std::vector<double>{3.5, 0.5});
  CHECK(message_of<shape_error>([&] { cost_plot({"Top-k"}, costs, 0); }) ==
        "cost_plot: histories (gates): expected 1, got 2");
}

TEST_CASE("plot: histories that do not fit are refused") {
  std::vector<WeightHistory> histories = {history(0), history(1)};
  auto refuse = [&](std::vector<std::string> tasks) {
    return message_of<shape_error>([&] { expert_weight_plot({"Top-k"}, tasks, histories); });
  };
  CHECK(refuse({"task 1"}) == "expert_weight_plot: histories (gates x tasks): expected 1, got 2");
  histories[1].steps.pop_back();
  CHECK(refuse({"task 1", "task 2"}) ==
        "expert_weight_plot: columns of weights (steps): expected 3, got 4");
}

TEST_CASE("plot: experts that each task uses, tasks down and experts across") {
  Matrix<float> weights(2, 3);
  weights << 1, 0, 0.25f,  //
      0, 1, 0.75f;
  const HeatMap map = expert_use_map(weights, {}, std::vector<Index>{0, 0, 1});
  CHECK(map.values == weights.transpose());
  CHECK(map.y_label == "task");
  CHECK(map.breaks == std::vector<Index>{2});

  const HeatMap named = expert_use_map(weights, {"a", "b", "c"});
  CHECK(named.rows == std::vector<std::string>{"a", "b", "c"});
  CHECK(named.y_label.empty());
  CHECK(named.breaks.empty());
  CHECK(message_of<shape_error>([&] {
          expert_use_map(weights, {}, std::vector<Index>{0, 0});
        }) == "expert_use_map: groups (tasks): expected 3, got 2");
}
