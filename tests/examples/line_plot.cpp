// SPDX-License-Identifier: MIT
#include "count.hpp"
#include "train/line_plot.hpp"

#include "catch.hpp"
#include "environment.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

using Catch::Matchers::ContainsSubstring;
using selgate::config_error;
using selgate::examples::LinePlot;
using selgate::examples::PictureFormat;
using selgate::examples::Series;
using selgate::examples::detail::LinePlotPage;
using selgate::examples::write_plot;
using selgate::io_error;
using selgate::shape_error;
using selgate::test::Environment;
using selgate::test::TemporaryDirectory;
using selgate::test::count;
using selgate::test::message_of;
using selgate::test::read_text;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

/// Two rows, two columns; "b" alone in one panel, and the order of labels differs between panels.
LinePlot grid() {
  const Series a{"a", {0, 1}, {0.25, 0.75}}, b{"b", {0, 1, 2}, {0.5, nan_value, 0.125}};
  return {.title = "it's a title",
          .x_label = "step",
          .y_label = "weight",
          .legend_title = "expert",
          .rows = {"gate, 1", "gate 2"},
          .columns = {"task 1", "task 2"},
          .panels = {{a, b}, {b, a}, {b}, {}}};
}

LinePlot one_panel(std::vector<Series> series) {
  return {.title = "", .x_label = "x", .y_label = "y", .panels = {std::move(series)}};
}

}  // namespace

TEST_CASE("line_plot: the CSV file has a line for each point") {
  CHECK(LinePlotPage(grid()).csv() ==
        "row,column,series,x,y,error\n"
        "\"gate, 1\",task 1,a,0,0.25,\n"
        "\"gate, 1\",task 1,a,1,0.75,\n"
        "\"gate, 1\",task 1,b,0,0.5,\n"
        "\"gate, 1\",task 1,b,1,nan,\n"
        "\"gate, 1\",task 1,b,2,0.125,\n"
        "\"gate, 1\",task 2,b,0,0.5,\n"
        "\"gate, 1\",task 2,b,1,nan,\n"
        "\"gate, 1\",task 2,b,2,0.125,\n"
        "\"gate, 1\",task 2,a,0,0.25,\n"
        "\"gate, 1\",task 2,a,1,0.75,\n"
        "gate 2,task 1,b,0,0.5,\n"
        "gate 2,task 1,b,1,nan,\n"
        "gate 2,task 1,b,2,0.125,\n");
  CHECK_THAT(LinePlotPage(one_panel({{"a", {1}, {2}, {0.5}}})).csv(),
             ContainsSubstring(",,a,1,2,0.5\n"));
}

TEST_CASE(
    "line_plot: each panel draws its records, a label has one colour, the legend stands once") {
  const std::string script = LinePlotPage(grid()).script();
  const std::string a = "linecolor rgb '#0072b2'", b = "linecolor rgb '#d55e00'";
  auto line = [](const char* records, const std::string& color) {
    return "data skip 1 every ::" + std::string(records) +
           " using 4:5 with linespoints pointtype 7 pointsize 0.5 linewidth 1.8 " + color +
           " dashtype 1";
  };
  const std::string joint = ", \\\n     ";
  CHECK(count(script, "plot " + line("0::1", a) + joint + line("2::4", b) + "\n") == 1);
  CHECK(count(script, "plot " + line("5::7", b) + joint + line("8::9", a) + "\n") == 1);
  CHECK(count(script, "plot " + line("10::12", b) + "\n") == 1);
  CHECK(count(script, "plot NaN\n") == 1);
  CHECK(count(script, "set arrow ") == 2);
  CHECK(count(script, R"(set label "a" )") == 1);
  CHECK(count(script, R"(set label "expert" )") == 1);
  CHECK(count(script, R"(set label "it's a title" )") == 1);
  for (const char* name : {"gate, 1", "gate 2", "task 1", "task 2", "step", "weight"}) {
    CHECK(count(script, "set label \"" + std::string(name) + "\" ") == 1);
  }
  // Numbers stand at the outer axes alone.
  CHECK(count(script, R"-(set xtics ("0" 0, "1" 1, "2" 2))-") == 2);
  CHECK(count(script, R"-(set xtics ("" 0, "" 1, "" 2))-") == 2);
  CHECK(count(script, R"-(set ytics ("0.2" 0.2, "0.4" 0.4, "0.6" 0.6)-") == 2);
  CHECK(count(script, "set xrange [0:2]\n") == 1);
  CHECK(count(script, "set yrange [0.1:0.8]\n") == 1);
}

TEST_CASE("line_plot: many points are lines alone, with marks at nice places") {
  Series series{"a", {}, {}};
  for (int i = 0; i < 100; ++i) {
    series.x.push_back(200 * i);
    series.y.push_back(i % 7);
  }
  const std::string script = LinePlotPage(one_panel({series})).script();
  CHECK_THAT(script, ContainsSubstring("every ::0::99 using 4:5 with lines linewidth"));
  CHECK_THAT(script,
             ContainsSubstring(R"-(set xtics ("0" 0, "5k" 5000, "10k" 10000, "15k" 15000))-"));
  CHECK(count(script, "set arrow ") == 0);  // one label needs no legend
}

TEST_CASE("line_plot: error bars are drawn and have room") {
  const LinePlot plot = one_panel({{"a", {16, 32}, {1, 0.75}, {0.125, 0.0625}}});
  const std::string script = LinePlotPage(plot).script();
  CHECK_THAT(script, ContainsSubstring("using 4:5:6 with yerrorlines"));
  CHECK_THAT(script, ContainsSubstring("set yrange [0.6:1.2]"));
}

TEST_CASE("line_plot: beyond eight lines colours repeat with another dash") {
  std::vector<Series> many;
  for (int i = 0; i < 41; ++i) many.push_back({"s" + std::to_string(i), {0, 1}, {0, 1.0 * i}});
  const std::string script = LinePlotPage(one_panel(many)).script();
  for (const char* dash : {"1", "2", "3", "4", "5"}) {
    CHECK(count(script, "linecolor rgb '#d55e00' dashtype " + std::string(dash) + ", ") == 1);
  }
  CHECK(count(script, "linecolor rgb '#0072b2' dashtype 1\n") == 2 + 1);  // twice in the legend
}

TEST_CASE("line_plot: ends above the threshold are labelled, apart from each other") {
  LinePlot plot = one_panel({{"low", {0, 1}, {1, 0.02}},
                             {"high", {0, 1}, {0, 0.5}},
                             {"next", {0, 1}, {0, 0.51}},
                             {"lost", {0, 1}, {1, nan_value}},
                             {"far", {0, 1}, {1, std::numeric_limits<double>::infinity()}},
                             {"none", {}, {}}});
  plot.y_range = {{0, 1}};
  CHECK(count(LinePlotPage(plot).script(), "at graph 1.015") == 0);
  plot.label_ends_above = 0.02;
  const std::string script = LinePlotPage(plot).script();
  CHECK(count(script, "at graph 1.015") == 2);
  CHECK_THAT(script,
             ContainsSubstring(R"(set label "high" at graph 1.015,0.4700 left)"));  // 14 of 200
  CHECK_THAT(script,
             ContainsSubstring(R"(set label "next" at graph 1.015,0.5400 left)"));  // pixels
  plot.y_range.reset();
  plot.log_y = true;
  plot.panels[0] = {{"a", {0, 1}, {1, 0.1}}, {"b", {0, 1}, {0.01, 1}}};
  // 0.1 is in the middle of 0.01 and 1, a little more room being left on either side
  CHECK_THAT(LinePlotPage(plot).script(),
             ContainsSubstring(R"(set label "a" at graph 1.015,0.5000 left)"));
}

TEST_CASE("line_plot: ranges of awkward data are finite and not empty") {
  auto ranges = [](const LinePlot& plot) {
    const std::string script = LinePlotPage(plot).script();
    const auto from = script.find("set xrange"), to = script.find('\n', script.find("set yrange"));
    return script.substr(from, to - from);
  };
  CHECK(ranges(one_panel({})) == "set xrange [-1:1]\nset yrange [0.4:1.6]");
  CHECK(ranges(one_panel({{"a", {3}, {2}}})) == "set xrange [1.5:4.5]\nset yrange [1:3]");
  CHECK(ranges(one_panel({{"a", {0, 1}, {nan_value, nan_value}}})) ==
        "set xrange [-1:1]\nset yrange [0.4:1.6]");
  CHECK(ranges(one_panel({{"a", {1e20}, {-1e20}}})) ==
        "set xrange [5e+19:1.5e+20]\nset yrange [-1.6e+20:-4e+19]");
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(ranges(one_panel({{"a", {0, 1, 2}, {-5, infinity, 5}}})) ==
        "set xrange [0:2]\nset yrange [-6:6]");
  LinePlot logarithmic = one_panel({{"a", {0, 1, 2, 3}, {0, -1, 0.5, 8}, {1, 1, 1, 2}}});
  logarithmic.log_y = true;
  CHECK(ranges(logarithmic) == "set xrange [2:3]\nset yrange [0.4:12.5]");
  CHECK(count(LinePlotPage(logarithmic).script(), "set logscale y\n") == 1);
}

TEST_CASE("line_plot: sizes that disagree are refused") {
  auto refuse = [](const LinePlot& plot) {
    return message_of<shape_error>([&] { write_plot(plot, "/nowhere/plot"); });
  };
  LinePlot plot = grid();
  plot.rows.clear();
  CHECK(refuse(plot) == "LinePlot: rows and columns: expected 1 or more of each, got 0");
  plot = grid();
  plot.panels.pop_back();
  CHECK(refuse(plot) == "LinePlot: number of panels (rows x columns): expected 4, got 3");
  CHECK(refuse(one_panel({{"a", {0, 1}, {0}}})) ==
        "LinePlot: values of y in series a: expected 2, got 1");
  CHECK(refuse(one_panel({{"a", {0, 1}, {0, 1}, {0}}})) ==
        "LinePlot: errors in series a: expected 2, got 1");
  CHECK_THROWS_AS(write_plot(grid(), "/nowhere/plot"), io_error);

  plot = grid();
  plot.y_range = {{1, 1}};
  CHECK(message_of<config_error>([&] { write_plot(plot, "/nowhere/plot"); }) ==
        "LinePlot: y_range: expected low < high, got 1");
  plot.y_range = {{0, 1}};
  plot.log_y = true;
  CHECK(message_of<config_error>([&] { write_plot(plot, "/nowhere/plot"); }) ==
        "LinePlot: y_range with log_y: expected low > 0, got 0");
}

TEST_CASE("line_plot: gnuplot draws it, whatever the labels") {
  const TemporaryDirectory folder;
  LinePlot plot = grid();
  plot.panels[0][0].label = "'; system('touch broken'); print '";
  plot.panels[0][1].label = "\"; system('touch broken'); print \"";
  plot.panels[1][1].label = "$(touch broken) `touch broken` {/:Bold <b> & \"q\" \\n} σ";
  plot.panels[2].push_back({"c", {0, 1}, {0.1, 0.2}, {0.1, 0.1}});
  plot.label_ends_above = 0;
  plot.log_y = GENERATE(false, true);
  const auto format = GENERATE(PictureFormat::svg, PictureFormat::png);
  const auto files = write_plot(plot, folder.path() / "plot", format);
  if (files.problem == "no picture drawn: gnuplot is not installed") {
    WARN("skipped: gnuplot is not installed");
    return;
  }
  REQUIRE(files.problem == "");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "broken"));
  const std::string picture = read_text(files.picture);
  if (format == PictureFormat::png) {
    CHECK(picture.substr(1, 3) == "PNG");
    return;
  }
  CHECK(count(picture, "<?xml") == 1);
  CHECK(count(picture, ">it's a title<") == 1);
  CHECK(count(picture, ">'; system('touch broken'); print '<") >= 1);
  CHECK(count(picture, ">\"; system('touch broken'); print \"<") >= 1);
  CHECK(count(picture, ">$(touch broken) `touch broken` {/:Bold &lt;b> &amp; \"q\" \\n} σ<") >= 1);
  CHECK(count(picture, "rgb(  0, 114, 178)") >= 1);
}
