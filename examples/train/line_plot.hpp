// SPDX-License-Identifier: MIT
#pragma once

#include "axis.hpp"
#include "gnuplot.hpp"
#include "table.hpp"

#include <selgate/core/error.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace selgate::examples {

/// One line. Points that are not finite leave a gap.
struct Series {
  std::string label;
  std::vector<double> x, y;        // of one size
  std::vector<double> error = {};  // half the length of each point's bar, or none
};

/// A grid of panels that share both axes. Series of one label have one colour throughout; the
/// legend stands once, above all panels.
struct LinePlot {
  std::string title, x_label, y_label;
  std::string legend_title = {};                         // as "expert" before 0, 1, 2
  std::vector<std::string> rows = {""}, columns = {""};  // names of the panels' rows and columns
  std::vector<std::vector<Series>> panels;               // row by row
  std::optional<std::array<double, 2>> y_range = {};     // else that of the data
  bool log_y = false;
  std::optional<double> label_ends_above = {};  // a line that ends above this is labelled there too
};

namespace detail {

/// Seven of Okabe and Ito's eight colours, which stay apart under every kind of colour blindness,
/// and a violet for their yellow, which is unreadable on white. Lines beyond the eighth are dashed.
inline constexpr std::array line_colors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                           "#e69f00", "#56b4e9", "#222222", "#7b5bb5"};

inline std::string line_color(std::size_t label) {
  return std::string("rgb '") + line_colors[label % line_colors.size()] + "'";
}
inline std::string line_style(std::size_t label) {
  return " linewidth 1.8 linecolor " + line_color(label) + " dashtype " +
         to_text(1 + label / line_colors.size() % 5);
}

/// Lays a LinePlot out on a page of pixels and writes it as CSV and as a gnuplot script.
class LinePlotPage {
 public:
  explicit LinePlotPage(const LinePlot& plot) : plot_(plot) {
    require<shape_error>(!plot.rows.empty() && !plot.columns.empty(), "LinePlot: rows and columns",
                         "1 or more of each", 0);
    require_size("LinePlot: number of panels (rows x columns)",
                 plot.rows.size() * plot.columns.size(), plot.panels.size());
    for (const auto& panel : plot.panels) {
      for (const Series& series : panel) add(series);
    }
    choose_ranges();
    panel_width_ = plot.columns.size() == 1 ? 480 : 340;
    panel_height_ = plot.panels.size() <= 2 ? 200 : 120;
    if (plot.label_ends_above) {
      for (const std::string& name : labels_) gap_ = (std::max)(gap_, 14 + text_size(name));
    }
    width_ = left + static_cast<int>(plot.columns.size()) * (panel_width_ + gap_);
    place_legend();
    first_row_ = 38 + (legend_.empty() ? 0 : line * (legend_.back().line + 1)) + column_header();
    height_ = row_bottom(plot.rows.size() - 1) + 54;
  }

  [[nodiscard]] int width() const { return width_; }
  [[nodiscard]] int height() const { return height_; }

  [[nodiscard]] std::string csv() const {
    std::string text = "row,column,series,x,y,error\n";
    for (std::size_t p = 0; p < plot_.panels.size(); ++p) {
      for (const Series& series : plot_.panels[p]) {
        const std::string name = csv_field(plot_.rows[p / plot_.columns.size()]) + ',' +
                                 csv_field(plot_.columns[p % plot_.columns.size()]) + ',' +
                                 csv_field(series.label) + ',';
        for (std::size_t i = 0; i < series.x.size(); ++i) {
          const std::string error = series.error.empty() ? "" : to_text(series.error[i]);
          text += name + to_text(series.x[i]) + ',' + to_text(series.y[i]) + ',' + error + '\n';
        }
      }
    }
    return text;
  }

  [[nodiscard]] std::string script() const {
    std::string text =
        "set multiplot\n"
        "set border 1 linecolor rgb '#888888'\n"
        "set grid ytics back linetype 1 linewidth 1 linecolor rgb '#e4e4e4'\n"
        "set tics nomirror scale 0.4 textcolor rgb '#444444'\n"
        "set errorbars 0\n"
        "unset key\n";
    text += "set xrange [" + to_text(x_low_) + ":" + to_text(x_high_) + "]\n";
    text += "set yrange [" + to_text(y_low_) + ":" + to_text(y_high_) + "]\n";
    if (plot_.log_y) text += "set logscale y\n";
    text += headings();
    std::size_t record = 0;  // of the CSV file
    for (std::size_t p = 0; p < plot_.panels.size(); ++p) {
      text += panel(p, record) + "unset label\nunset arrow\n";
    }
    return text + "unset multiplot\n";
  }

 private:
  static constexpr int left = 76, line = 22, sample = 20;  // pixels; sample: in the legend
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr std::size_t max_few = 8;  // values of x: each has its mark, and points are drawn
  struct LegendEntry {
    int x, line;
  };

  void add(const Series& series) {
    require_size("LinePlot: values of y in series " + series.label, series.x.size(),
                 series.y.size());
    if (!series.error.empty()) {
      require_size("LinePlot: errors in series " + series.label, series.x.size(),
                   series.error.size());
    }
    if (number(series) == labels_.size()) labels_.push_back(series.label);
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      const double x = series.x[i], y = series.y[i];
      const double error = series.error.empty() ? 0 : series.error[i];
      if (!std::isfinite(x) || !std::isfinite(y + error) || (plot_.log_y && y <= 0)) continue;
      if (few_x_.size() <= max_few) few_x_.insert(x);
      x_low_ = (std::min)(x_low_, x);
      x_high_ = (std::max)(x_high_, x);
      y_low_ = (std::min)(y_low_, plot_.log_y ? y : y - error);
      y_high_ = (std::max)(y_high_, y + error);
    }
  }
  /// Of the series' label, among those seen so far.
  [[nodiscard]] std::size_t number(const Series& series) const {
    const auto found = std::find(labels_.begin(), labels_.end(), series.label);
    return static_cast<std::size_t>(found - labels_.begin());
  }

  void choose_ranges() {
    if (x_low_ > x_high_) x_low_ = x_high_ = 0, y_low_ = y_high_ = 1;  // no data
    widen(x_low_, x_high_);
    if (plot_.y_range) {
      y_low_ = (*plot_.y_range)[0], y_high_ = (*plot_.y_range)[1];
      require(y_low_ < y_high_, "LinePlot: y_range", "low < high", y_low_);
      require(y_low_ > 0 || !plot_.log_y, "LinePlot: y_range with log_y", "low > 0", y_low_);
    } else if (plot_.log_y) {
      y_low_ *= 0.8, y_high_ *= 1.25;
    } else {
      widen(y_low_, y_high_);
      const double step = nice_step(y_high_ - y_low_, 8);
      y_low_ = multiple(std::floor(y_low_ / step), step);
      y_high_ = multiple(std::ceil(y_high_ / step), step);
    }
  }

  static int text_size(const std::string& text) {
    return static_cast<int>(7.5 * static_cast<double>(text_width(text)));  // an average letter
  }
  void place_legend() {
    if (labels_.size() < 2) return;
    const int title = text_size(plot_.legend_title), start = left + (title == 0 ? 0 : title + 16);
    LegendEntry next{start, 0};
    for (const std::string& name : labels_) {
      const int size = sample + 6 + text_size(name);
      if (next.x > start && next.x + size > width_ - 10) next = {start, next.line + 1};
      legend_.push_back(next);
      next.x += size + 16;
    }
  }

  static bool named(const std::vector<std::string>& names) {
    return std::any_of(names.begin(), names.end(), [](const auto& name) { return !name.empty(); });
  }
  [[nodiscard]] int row_header() const { return named(plot_.rows) ? line : 0; }
  [[nodiscard]] int column_header() const { return named(plot_.columns) ? line : 0; }
  [[nodiscard]] int row_bottom(std::size_t row) const {
    return first_row_ + static_cast<int>(row + 1) * (row_header() + panel_height_ + 14) - 14;
  }

  [[nodiscard]] std::string x_screen(int x) const { return fixed(1.0 * x / width_, 5); }
  [[nodiscard]] std::string y_screen(int y) const { return fixed(1 - 1.0 * y / height_, 5); }
  [[nodiscard]] std::string label(const std::string& text, int x, int y,
                                  const std::string& style) const {
    if (text.empty()) return "";
    return "set label " + gnuplot_string(text) + " at screen " + x_screen(x) + "," + y_screen(y) +
           " " + style + "\n";
  }

  /// Title, legend, names of the axes.
  [[nodiscard]] std::string headings() const {
    const std::string grey = "textcolor rgb '#444444' ";
    const int bottom = row_bottom(plot_.rows.size() - 1);
    std::string text = label(plot_.title, left, 18, "left font title_font");
    text += label(plot_.x_label, (left + width_ - gap_) / 2, bottom + 40, grey + "center");
    text += label(plot_.y_label, 14, (first_row_ + row_header() + bottom) / 2,
                  grey + "center rotate by 90");
    if (legend_.empty()) return text;
    text += label(plot_.legend_title, left, 18 + line, grey + "left");
    for (std::size_t i = 0; i < legend_.size(); ++i) {
      const int x = legend_[i].x, y = 18 + line * (1 + legend_[i].line);
      text += "set arrow from screen " + x_screen(x) + "," + y_screen(y) + " to screen " +
              x_screen(x + sample) + "," + y_screen(y) + " nohead" + line_style(i) + "\n";
      text += label(labels_[i], x + sample + 6, y, "left");
    }
    return text;
  }

  [[nodiscard]] std::string panel(std::size_t p, std::size_t& record) const {
    const std::size_t row = p / plot_.columns.size(), column = p % plot_.columns.size();
    const int x = left + static_cast<int>(column) * (panel_width_ + gap_), bottom = row_bottom(row);
    const int top = bottom - panel_height_;
    std::string text;
    if (row == 0) {
      text += label(plot_.columns[column], x + panel_width_ / 2, first_row_ - 12, "center");
    }
    if (column == 0) text += label(plot_.rows[row], x, top - 13, "left font name_font");
    text += "set lmargin at screen " + x_screen(x) + "\nset rmargin at screen " +
            x_screen(x + panel_width_) + "\nset tmargin at screen " + y_screen(top) +
            "\nset bmargin at screen " + y_screen(bottom) + "\n";
    const std::vector<double> x_marks = few_x_.size() <= max_few
                                            ? std::vector<double>(few_x_.begin(), few_x_.end())
                                            : nice_marks(x_low_, x_high_, 5);
    text += "set xtics " + gnuplot_marks(x_marks, row + 1 == plot_.rows.size()) + "\n";
    text += plot_.log_y
                ? std::string("set format y '") + (column == 0 ? "%g" : "") + "'\n"
                : "set ytics " + gnuplot_marks(nice_marks(y_low_, y_high_, 4), column == 0) + "\n";
    text += end_labels(plot_.panels[p]);
    std::string lines;
    for (const Series& series : plot_.panels[p]) {
      if (series.x.empty()) continue;
      const bool bars = !series.error.empty(), points = bars || few_x_.size() <= max_few;
      lines += std::string(lines.empty() ? "plot" : ", \\\n    ") +
               " data skip 1 every ::" + to_text(record) +
               "::" + to_text(record + series.x.size() - 1) + " using 4:5" +
               (bars ? ":6 with yerrorlines" : " with lines") +
               (points ? std::string(bars ? "" : "points") + " pointtype 7 pointsize 0.5" : "") +
               line_style(number(series));
      record += series.x.size();
    }
    return text + (lines.empty() ? "plot NaN" : lines) + "\n";
  }

  [[nodiscard]] std::string end_labels(const std::vector<Series>& panel) const {
    if (!plot_.label_ends_above) return "";
    auto height = [&](double y) {  // 0 at the bottom of the panel, 1 at its top
      return plot_.log_y ? std::log(y / y_low_) / std::log(y_high_ / y_low_)
                         : (y - y_low_) / (y_high_ - y_low_);
    };
    std::vector<std::pair<double, std::size_t>> ends;
    for (const Series& series : panel) {
      const double end = series.y.empty() ? infinity : series.y.back();
      if (!std::isfinite(end) || end <= *plot_.label_ends_above) continue;
      ends.emplace_back(height(end), number(series));
    }
    std::sort(ends.begin(), ends.end());
    std::vector<double> heights;
    for (const auto& end : ends) heights.push_back(end.first);
    spread_out(heights, 14.0 / panel_height_);
    std::string text;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      text += "set label " + gnuplot_string(labels_[ends[i].second]) + " at graph 1.015," +
              fixed(heights[i], 4) + " left textcolor " + line_color(ends[i].second) + "\n";
    }
    return text;
  }

  LinePlot plot_;
  std::vector<std::string> labels_;
  std::set<double> few_x_;  // the distinct values of x, up to one more than max_few
  double x_low_ = infinity, x_high_ = -infinity, y_low_ = infinity, y_high_ = -infinity;
  std::vector<LegendEntry> legend_;
  int panel_width_ = 0, panel_height_ = 0, gap_ = 40, width_ = 0, height_ = 0, first_row_ = 0;
};

}  // namespace detail

/// Writes STEM.csv, STEM.gp and, where gnuplot is installed, STEM.svg or STEM.png. The CSV file has
/// a line per point: row, column, series, x, y, error. Throws shape_error where sizes do not agree,
/// config_error on an empty y_range and io_error where a file cannot be written; a picture that
/// cannot be drawn is no error, see PlotFiles.
inline PlotFiles write_plot(const LinePlot& plot, const std::filesystem::path& stem,
                            PictureFormat format = PictureFormat::svg) {
  const detail::LinePlotPage page(plot);
  return detail::draw(stem, format, page.width(), page.height(), page.csv(), page.script());
}

}  // namespace selgate::examples
