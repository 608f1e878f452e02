// SPDX-License-Identifier: MIT
#include "train/table.hpp"

#include "catch.hpp"

#include <limits>
#include <sstream>
#include <string>

using selgate::config_error;
using selgate::shape_error;
using selgate::examples::fixed;
using selgate::examples::mean_and_error;
using selgate::examples::percent;
using selgate::examples::Table;
using selgate::examples::text_width;

namespace {

Table some_table() {
  Table table({"gate", "loss (±se)", "experts", "eta|η"});
  table.add({"DSelect-k", "0.3823 ± 0.0003", "1.2", "a|b"});
  table.add({"Top-k", "10.3904 ± 0.0010", "-", ""});
  table.add({"σ", "nan", "12", "x"});
  return table;
}

}  // namespace

TEST_CASE("table: aligned text") {
  std::ostringstream out;
  some_table().print(out);
  CHECK(out.str() ==
        "gate             loss (±se)  experts  eta|η\n"
        "-------------------------------------------\n"
        "DSelect-k   0.3823 ± 0.0003      1.2  a|b\n"
        "Top-k      10.3904 ± 0.0010        -\n"
        "σ                       nan       12  x\n");
}

TEST_CASE("table: Markdown") {
  std::ostringstream out;
  some_table().print_markdown(out);
  CHECK(out.str() ==
        "| gate      |       loss (±se) | experts | eta\\|η |\n"
        "| --------- | ---------------: | ------: | ------ |\n"
        "| DSelect-k |  0.3823 ± 0.0003 |     1.2 | a\\|b   |\n"
        "| Top-k     | 10.3904 ± 0.0010 |       - |        |\n"
        "| σ         |              nan |      12 | x      |\n");
}

TEST_CASE("table: narrow, empty, and columns that only look like numbers") {
  Table table({"a", "b", "c"});
  std::ostringstream empty;
  table.print(empty);
  CHECK(empty.str() == "a  b  c\n-------\n");
  table.add({"-1", "1", "-"}).add({"+.5", "one", "-"}).add({"-inf", "3", "-x"});
  std::ostringstream text, markdown;
  table.print(text);
  CHECK(text.str() ==
        "   a  b    c\n"
        "-------------\n"
        "  -1  1    -\n"
        " +.5  one  -\n"
        "-inf  3    -x\n");
  Table({"a"}).add({"1"}).print_markdown(markdown);
  CHECK(markdown.str() == "|   a |\n| --: |\n|   1 |\n");
}

TEST_CASE("table: wrong sizes are refused") {
  CHECK_THROWS_AS(Table({}), config_error);
  Table table({"a", "b"});
  CHECK_THROWS_AS(table.add({"1"}), shape_error);
  CHECK_THROWS_AS(table.add({"1", "2", "3"}), shape_error);
}

TEST_CASE("table: numbers as text") {
  CHECK(fixed(0.38234, 4) == "0.3823");
  CHECK(fixed(-2, 1) == "-2.0");
  CHECK(fixed(1e22, 0) == "10000000000000000000000");
  CHECK(fixed(std::numeric_limits<double>::max(), 3).size() == 309 + 1 + 3);
  CHECK(fixed(std::numeric_limits<double>::quiet_NaN(), 2) == "nan");
  CHECK(fixed(-std::numeric_limits<double>::infinity(), 2) == "-inf");
  CHECK(mean_and_error(0.38234, 0.00031, 4) == "0.3823 ± 0.0003");
  CHECK(mean_and_error(0.38234, std::nullopt, 4) == "0.3823");
  CHECK(percent(0.944) == "94%");
  CHECK(percent(0.094, 1) == "9.4%");
  CHECK(text_width("±σa") == 3);
}
