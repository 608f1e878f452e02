// SPDX-License-Identifier: MIT
#pragma once

#include "axis.hpp"
#include "gnuplot.hpp"
#include "table.hpp"

#include <selgate/core/error.hpp>
#include <selgate/core/types.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace selgate::examples {

/// A matrix as shades: weights as tasks x experts, for one. Only an exact 0 is white. Cells that
/// have room show their value.
struct HeatMap {
  std::string title, x_label, y_label;
  Matrix<float> values;                              // in 0..max_value; row 0 at the top
  std::vector<std::string> rows = {}, columns = {};  // names, or none: numbers from 0
  std::vector<Index> breaks = {};  // a line above each of these rows: between groups
  float max_value = 1;             // > 0
};

namespace detail {

inline std::string heat_map_name(const std::vector<std::string>& names, Index i) {
  return names.empty() ? to_text(i) : names[static_cast<std::size_t>(i)];
}

/// All names, or the numbers that have room.
inline std::string heat_map_marks(const std::vector<std::string>& names, Index count, double most) {
  if (names.empty() && count > 1) {
    const auto last = static_cast<double>(count - 1);
    return gnuplot_marks(nice_marks(0, last, std::clamp(most, 1.0, last)));
  }
  std::string list;
  for (Index i = 0; i < count; ++i) {
    list += (i == 0 ? "(" : ", ") + gnuplot_string(heat_map_name(names, i)) + " " + to_text(i);
  }
  return list + ")";
}

}  // namespace detail

/// Writes STEM.csv (a line per cell: row, column, value), STEM.gp and, where gnuplot is installed,
/// STEM.svg or STEM.png. Throws shape_error where names and values differ in number, config_error
/// on an empty matrix, a break outside it or max_value <= 0, and io_error where a file cannot be
/// written.
inline PlotFiles write_heat_map(const HeatMap& map, const std::filesystem::path& stem,
                                PictureFormat format = PictureFormat::svg) {
  const Index num_rows = map.values.rows(), num_columns = map.values.cols();
  require(map.values.size() > 0, "HeatMap: number of values", ">= 1", map.values.size());
  require(map.max_value > 0, "HeatMap: max_value", "> 0", map.max_value);
  if (!map.rows.empty()) {
    require_size("HeatMap: names of rows", num_rows, static_cast<Index>(map.rows.size()));
  }
  if (!map.columns.empty()) {
    require_size("HeatMap: names of columns", num_columns, static_cast<Index>(map.columns.size()));
  }
  for (Index row : map.breaks) {
    require(0 < row && row < num_rows, "HeatMap: break", "1.." + to_text(num_rows - 1), row);
  }

  std::string csv = "row,column,value\n";
  for (Index r = 0; r < num_rows; ++r) {
    for (Index c = 0; c < num_columns; ++c) {
      csv += csv_field(detail::heat_map_name(map.rows, r)) + ',' +
             csv_field(detail::heat_map_name(map.columns, c)) + ',' + to_text(map.values(r, c)) +
             '\n';
    }
  }

  // Pixels. Rows with names need the height of their text; column names too wide stand upright.
  auto widest = [](const std::vector<std::string>& names) {
    std::size_t letters = 0;
    for (const std::string& name : names) letters = (std::max)(letters, text_width(name));
    return 8 * static_cast<int>(letters);
  };
  const int columns = static_cast<int>(num_columns), rows = static_cast<int>(num_rows);
  const int cell_width = std::clamp(640 / columns, 10, 56);
  const int cell_height = std::clamp(560 / rows, map.rows.empty() ? 4 : 18, 30);
  const int body_width = columns * cell_width, body_height = rows * cell_height, bar = 100;
  const bool upright = widest(map.columns) > cell_width;
  const int left = (std::max)(76, 40 + widest(map.rows));
  const int top = 62 + (upright ? widest(map.columns) + 8 : 24);
  const int width = left + (std::max)(body_width + 90, widest({map.title}) * 17 / 13);
  const int height = top + (std::max)(body_height, bar) + 24;

  auto x = [&](double pixel) { return fixed(pixel / width, 5); };
  auto y = [&](double pixel) { return fixed(1 - pixel / height, 5); };
  auto label = [&](const std::string& text, double pixel_x, double pixel_y, const char* style) {
    if (text.empty()) return std::string();
    return "set label " + gnuplot_string(text) + " at screen " + x(pixel_x) + "," + y(pixel_y) +
           " " + style + "\n";
  };
  const std::string most = to_text(map.max_value);
  const std::string x_range = "range [-0.5:" + fixed(columns - 0.5, 1) + "]\n";
  std::string script =
      "unset key\n"
      "set border 15 linecolor rgb '#cccccc'\n"
      "set tics scale 0 textcolor rgb '#444444'\n"
      "unset xtics\n"
      "set palette maxcolors 0\n"
      "set palette defined "
      "(0 '#ffffff', 0.002 '#deebf7', 0.3 '#8fbfe0', 0.6 '#3a85bf', 1 '#08306b')\n";
  script += "set lmargin at screen " + x(left) + "\nset rmargin at screen " + x(left + body_width) +
            "\nset tmargin at screen " + y(top) + "\nset bmargin at screen " +
            y(top + body_height) + "\n";
  script += "set x" + x_range + "set x2" + x_range;
  script += "set yrange [" + fixed(rows - 0.5, 1) + ":-0.5]\nset cbrange [0:" + most + "]\n";
  script += std::string("set x2tics ") + (upright ? "rotate left " : "") +
            detail::heat_map_marks(map.columns, num_columns, body_width / 28.0) + "\n";
  script += "set ytics " + detail::heat_map_marks(map.rows, num_rows, body_height / 18.0) + "\n";
  script += "set colorbox user origin screen " + x(left + body_width + 24) + "," + y(top + bar) +
            " size screen " + x(12) + "," + fixed(1.0 * bar / height, 5) + " noborder\n";
  script += "set cbtics (\"0\" 0, " + gnuplot_string(most) + " " + most + ")\n";
  script += label(map.title, left, 18, "left font title_font");
  script += label(map.x_label, left + body_width / 2.0, 44, "center textcolor rgb '#444444'");
  script += label(map.y_label, 14, top + body_height / 2.0,
                  "center rotate by 90 textcolor rgb '#444444'");
  for (Index row : map.breaks) {
    const std::string place = fixed(static_cast<double>(row) - 0.5, 1);
    script += "set arrow from graph 0,first " + place + " to graph 1,first " + place +
              " nohead front linewidth 1 linecolor rgb '#bbbbbb'\n";
  }
  script += "across(i) = int(i) % " + to_text(columns) + "\ndown(i) = int(i) / " +
            to_text(columns) + "\n";
  std::string cells = "plot data skip 1 using (across($0)):(down($0)):3 with image pixels";
  if (cell_width >= 36 && cell_height >= 16) {
    script += "text(value) = value < 0.005 ? '' : sprintf('%.2f', value)\n";
    script += "color(value) = value > 0.5 * " + most + " ? 0xffffff : 0x222222\n";
    cells += ", \\\n     data skip 1 using (across($0)):(down($0)):(text($3)):(color($3))";
    cells += " with labels textcolor rgb variable";
  }
  return detail::draw(stem, format, width, height, csv, script + cells + "\n");
}

}  // namespace selgate::examples
