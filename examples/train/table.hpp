// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace selgate::examples {

/// A number with so many digits after the point; "nan", "inf" and "-inf" as such.
inline std::string fixed(double value, int digits) {
  std::array<char, 512> buffer;  // the largest double has 309 digits before its point
  const auto [end, code] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                         std::chars_format::fixed, digits);
  return {buffer.data(), code == std::errc{} ? end : buffer.data()};
}
/// "0.3823 ± 0.0003", or the mean alone where there is one run and so no standard error.
inline std::string mean_and_error(double mean, std::optional<double> standard_error, int digits) {
  return fixed(mean, digits) + (standard_error ? " ± " + fixed(*standard_error, digits) : "");
}
/// 0.94 as "94%".
inline std::string percent(double fraction, int digits = 0) {
  return fixed(100 * fraction, digits) + "%";
}

/// Columns that a terminal needs for UTF-8 text, taking each code point for one.
inline std::size_t text_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// A table of text: aligned for a terminal, or Markdown. A column whose cells all begin like
/// numbers stands to the right, header included; empty cells and "-" fit either side.
class Table {
 public:
  /// Throws config_error without a column.
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {
    require(!header_.empty(), "Table: number of columns", ">= 1", header_.size());
  }

  /// Throws shape_error unless there is a cell for each column.
  Table& add(std::vector<std::string> cells) {
    require_size("Table: number of cells (columns)", header_.size(), cells.size());
    rows_.push_back(std::move(cells));
    return *this;
  }

  /// Header, a rule, the rows; columns two spaces apart, no space at the end of a line.
  void print(std::ostream& out) const {
    const std::vector<Column> columns = measure(header_, rows_);
    print_row(out, header_, columns, "", "  ", "");
    std::size_t total = 2 * (columns.size() - 1);
    for (const Column& column : columns) total += column.width;
    out << std::string(total, '-') << '\n';
    for (const auto& row : rows_) print_row(out, row, columns, "", "  ", "");
  }

  /// A Markdown table; it is aligned as text too.
  void print_markdown(std::ostream& out) const {
    const auto header = escape(header_);
    std::vector<std::vector<std::string>> rows;
    for (const auto& row : rows_) rows.push_back(escape(row));
    std::vector<Column> columns = measure(header, rows);
    for (Column& column : columns) column.width = (std::max)(column.width, std::size_t{3});
    print_row(out, header, columns, "| ", " | ", " |");
    out << '|';
    for (const Column& column : columns) {
      out << ' ' << std::string(column.width - 1, '-') << (column.right ? ":" : "-") << " |";
    }
    out << '\n';
    for (const auto& row : rows) print_row(out, row, columns, "| ", " | ", " |");
  }

 private:
  using Row = std::vector<std::string>;
  struct Column {
    std::size_t width = 0;
    bool right = false;
  };

  static bool is_blank(std::string_view cell) { return cell.empty() || cell == "-"; }
  static bool is_number(std::string_view cell) {
    if (!cell.empty() && (cell[0] == '-' || cell[0] == '+')) cell.remove_prefix(1);
    if (!cell.empty() && cell[0] == '.') cell.remove_prefix(1);
    return cell == "nan" || cell == "inf" || (!cell.empty() && '0' <= cell[0] && cell[0] <= '9');
  }

  static std::vector<Column> measure(const Row& header, const std::vector<Row>& rows) {
    std::vector<Column> columns(header.size());
    for (std::size_t c = 0; c < columns.size(); ++c) {
      Column& column = columns[c];
      column.width = text_width(header[c]);
      bool some = false, all = true;
      for (const Row& row : rows) {
        column.width = (std::max)(column.width, text_width(row[c]));
        some = some || is_number(row[c]);
        all = all && (is_number(row[c]) || is_blank(row[c]));
      }
      column.right = some && all;
    }
    return columns;
  }

  static void print_row(std::ostream& out, const Row& row, const std::vector<Column>& columns,
                        std::string_view left, std::string_view between, std::string_view right) {
    std::string line(left);
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string space(columns[c].width - text_width(row[c]), ' ');
      line += (c == 0 ? "" : std::string(between)) +
              (columns[c].right ? space + row[c] : row[c] + space);
    }
    line += right;
    out << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  }

  static Row escape(Row row) {
    for (std::string& cell : row) {
      std::string escaped;
      for (char c : cell) escaped += c == '|' ? "\\|" : std::string(1, c);
      cell = std::move(escaped);
    }
    return row;
  }

  Row header_;
  std::vector<Row> rows_;
};

}  // namespace selgate::examples
