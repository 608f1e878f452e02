// SPDX-License-Identifier: MIT
#include <selgate/gate/routing.hpp>

#include "catch.hpp"

#include <vector>

using namespace selgate;

namespace {

std::vector<std::int32_t> experts(const Routing<double>& routing, Index c) {
  return {routing.experts(c).begin(), routing.experts(c).end()};
}
std::vector<double> weights(const Routing<double>& routing, Index c) {
  return {routing.weights(c).begin(), routing.weights(c).end()};
}
Routing<double> three_columns() {
  Routing<double> routing;
  routing.push(1, 0.25);
  routing.push(4, 0.75);
  routing.end_column();
  routing.end_column();
  routing.push(0, 1);
  routing.end_column();
  return routing;
}

}  // namespace

TEST_CASE("routing: entries column by column") {
  Routing<double> routing = three_columns();
  CHECK(routing.num_columns() == 3);
  CHECK(routing.num_entries() == 3);
  CHECK(experts(routing, 0) == std::vector<std::int32_t>{1, 4});
  CHECK(weights(routing, 0) == std::vector<double>{0.25, 0.75});
  CHECK(experts(routing, 1).empty());
  CHECK(weights(routing, 2) == std::vector<double>{1});
  CHECK((routing.first(1) == 2 && routing.first(2) == 2 && routing.first(3) == 3));
  routing.weights(2)[0] = 0.5;
  CHECK(routing.weights()[2] == 0.5);
  routing.clear();
  CHECK((routing.num_columns() == 0 && routing.num_entries() == 0));
}

TEST_CASE("routing: zeros in the support of another") {
  const Routing<double> routing = three_columns();
  Routing<double> zeros;
  zeros.push(3, 9);
  zeros.end_column();
  zeros.zero_like(routing);
  CHECK(zeros.num_columns() == 3);
  CHECK(experts(zeros, 0) == experts(routing, 0));
  CHECK(weights(zeros, 0) == std::vector<double>{0, 0});
  CHECK(weights(routing, 0) == std::vector<double>{0.25, 0.75});
}

TEST_CASE("entry list: sums repetitions in the order in which they came, and sorts by expert") {
  const double big = 1, tiny = 0x1p-53;  // (1 + tiny) + tiny is 1, and (tiny + tiny) + 1 is not
  EntryList<double> list;
  Routing<double> routing;
  for (const bool big_first : {true, false}) {
    list.clear();
    list.add(7, 0.5);
    if (big_first) list.add(2, big);
    list.add(2, tiny);
    list.add(2, tiny);
    if (!big_first) list.add(2, big);
    list.add(0, 1e-310);  // underflown
    list.push_sums(routing, 1e-300);
    routing.end_column();
  }
  CHECK(experts(routing, 0) == std::vector<std::int32_t>{0, 2, 7});
  CHECK(weights(routing, 0) == std::vector<double>{1e-300, 1, 0.5});
  CHECK(weights(routing, 1) == std::vector<double>{1e-300, 1 + 2 * tiny, 0.5});
}

TEST_CASE("routing: columns as of another, and an expert without a value reads 0") {
  Routing<double> two, one;
  for (Routing<double>* routing : {&two, &one}) {
    routing->push(1, 0.5);
    routing->end_column();
  }
  two.push(3, 0.25);
  two.push(5, 0.75);
  two.end_column();
  CHECK_FALSE(two.same_entries(one));
  one.zero_like(two);
  CHECK(two.same_entries(one));
  Routing<double> elsewhere;
  for (const Index expert : {1, 3, 6}) {
    elsewhere.push(expert, 0.5);
    if (expert != 3) elsewhere.end_column();
  }
  CHECK_FALSE(two.same_entries(elsewhere));

  AscendingExperts<double> values{two.experts(1), two.weights(1)};
  CHECK(values[3] == 0.25);
  CHECK(values[4] == 0);
  CHECK(values[5] == 0.75);
  CHECK(values[6] == 0);
}
