// SPDX-License-Identifier: MIT
#include "count.hpp"
#include "train/heat_map.hpp"

#include "catch.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

#include <limits>
#include <string>
#include <vector>

using Catch::Matchers::ContainsSubstring;
using selgate::Index;
using selgate::Matrix;
using selgate::config_error;
using selgate::examples::HeatMap;
using selgate::examples::PictureFormat;
using selgate::examples::write_heat_map;
using selgate::io_error;
using selgate::shape_error;
using selgate::test::TemporaryDirectory;
using selgate::test::count;
using selgate::test::message_of;
using selgate::test::read_text;

namespace {

HeatMap two_tasks() {
  Matrix<float> weights(2, 3);
  weights << 0, 1, 0,  //
      0.75f, 0.004f, 0.25f;
  return {.title = "it's a map", .x_label = "expert", .y_label = "task", .values = weights};
}

}  // namespace

TEST_CASE("heat_map: the CSV file has a line for each cell") {
  const TemporaryDirectory folder;
  HeatMap map = two_tasks();
  CHECK(read_text(write_heat_map(map, folder.path() / "map").csv) ==
        "row,column,value\n0,0,0\n0,1,1\n0,2,0\n1,0,0.75\n1,1,0.004\n1,2,0.25\n");
  map.rows = {"top, left", "bottom"};
  map.columns = {"a", "b", "c"};
  CHECK(read_text(write_heat_map(map, folder.path() / "map").csv) ==
        "row,column,value\n\"top, left\",a,0\n\"top, left\",b,1\n\"top, left\",c,0\n"
        "bottom,a,0.75\nbottom,b,0.004\nbottom,c,0.25\n");
}

TEST_CASE("heat_map: cells, names and lines between groups") {
  const TemporaryDirectory folder;
  auto script = [&](const HeatMap& map) {
    return read_text(write_heat_map(map, folder.path() / "map").script);
  };
  HeatMap map = two_tasks();
  map.breaks = {1};
  const std::string small = script(map);
  CHECK_THAT(small, ContainsSubstring("set xrange [-0.5:2.5]\n") &&
                        ContainsSubstring("set yrange [1.5:-0.5]\n") &&
                        ContainsSubstring("set cbrange [0:1]\n") &&
                        ContainsSubstring(R"-(set x2tics ("0" 0, "1" 1, "2" 2))-"
                                          "\n") &&
                        ContainsSubstring(R"-(set ytics ("0" 0, "1" 1))-"
                                          "\n") &&
                        ContainsSubstring("across(i) = int(i) % 3\ndown(i) = int(i) / 3\n") &&
                        ContainsSubstring("with labels"));
  CHECK(count(small, "set arrow from graph 0,first 0.5 to graph 1,first 0.5 ") == 1);

  map.rows = {"it's", "b"};
  map.columns = {"a name too long for a cell", "b", "c"};
  CHECK_THAT(script(map),
             ContainsSubstring(R"-(set ytics ("it's" 0, "b" 1))-"
                               "\n") &&
                 ContainsSubstring(R"-(set x2tics rotate left ("a name too long for a cell" 0,)-"));

  HeatMap large{.title = "", .x_label = "", .y_label = "", .values = Matrix<float>::Zero(128, 32)};
  const std::string many = script(large);
  CHECK_THAT(many, ContainsSubstring(R"-(set ytics ("0" 0, "5" 5, "10" 10,)-"));
  CHECK_FALSE(many.find("with labels") != std::string::npos);
  CHECK_FALSE(many.find("set label") != std::string::npos);

  large.values = Matrix<float>::Constant(1, 1, 1);
  CHECK_THAT(script(large), ContainsSubstring(R"-(set ytics ("0" 0))-"
                                              "\n"));
}

TEST_CASE("heat_map: what does not fit is refused") {
  auto change = [](auto f) {
    HeatMap map = two_tasks();
    f(map);
    return map;
  };
  auto shape = [](const HeatMap& map) {
    return message_of<shape_error>([&] { write_heat_map(map, "/nowhere/map"); });
  };
  auto config = [](const HeatMap& map) {
    return message_of<config_error>([&] { write_heat_map(map, "/nowhere/map"); });
  };
  CHECK(shape(change([](HeatMap& map) { map.rows = {"a"}; })) ==
        "HeatMap: names of rows: expected 2, got 1");
  CHECK(shape(change([](HeatMap& map) {
          map.columns = {"a", "b"};
        })) == "HeatMap: names of columns: expected 3, got 2");
  CHECK(config(change([](HeatMap& map) { map.values.resize(0, 3); })) ==
        "HeatMap: number of values: expected >= 1, got 0");
  CHECK(config(change([](HeatMap& map) { map.max_value = 0; })) ==
        "HeatMap: max_value: expected > 0, got 0");
  CHECK(config(change([](HeatMap& map) {
          map.max_value = std::numeric_limits<float>::quiet_NaN();
        })) == "HeatMap: max_value: expected > 0, got nan");
  for (Index wrong : {0, 2}) {
    CHECK(config(change([&](HeatMap& map) { map.breaks = {wrong}; })) ==
          "HeatMap: break: expected 1..1, got " + std::to_string(wrong));
  }
  CHECK_THROWS_AS(write_heat_map(two_tasks(), "/nowhere/map"), io_error);
}

TEST_CASE("heat_map: gnuplot draws it, and only exact zeros are white") {
  const TemporaryDirectory folder;
  HeatMap map = two_tasks();
  const auto files = write_heat_map(map, folder.path() / "map");
  if (files.problem == "no picture drawn: gnuplot is not installed") {
    WARN("skipped: gnuplot is not installed");
    return;
  }
  REQUIRE(files.problem.empty());
  const std::string picture = read_text(files.picture);
  CHECK_THAT(picture, ContainsSubstring("it's a map"));
  CHECK(count(picture, "<polygon fill = 'rgb(255, 255, 255)'") == 2);
  CHECK(count(picture, "<text>0.75</text>") == 1);
  CHECK(count(picture, "<text>0.00</text>") == 0);
  CHECK(write_heat_map(map, folder.path() / "map", PictureFormat::png).problem.empty());
}
