// SPDX-License-Identifier: MIT
#include <selgate/core/visit.hpp>

#include "catch.hpp"

using namespace selgate;

namespace {

/// Two leaves, the second only where it is wanted.
struct Linear {
  Matrix<float> weight = Matrix<float>::Zero(3, 2);  // in x out
  Vector<float> bias = Vector<float>::Zero(2);

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("weight", no_index, leaf(m.weight)...);
    if (((m.bias.size() != 0) && ...)) f("bias", no_index, leaf(m.bias)...);
  }
};

/// Children with a number, with a number alone, and blocks that may stay untouched.
struct Model {
  std::array<Linear, 2> towers;
  Linear layer;
  Matrix<float> table = Matrix<float>::Zero(2, 4);
  IndexSet touched{4};

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    for (std::size_t i = 0; i < 2; ++i) f("towers", static_cast<Index>(i), m.towers[i]...);
    f("", 3, m.layer...);
    visit_table(f, m...);
  }

 private:
  template <class F, class First, class... Rest>
  static void visit_table(const F& f, First& first, Rest&... rest) {
    for_each_block(f, first, 4, [&](Index column) {
      const auto block = [column](auto& m) {
        using S = std::remove_pointer_t<decltype(m.table.data())>;
        return Leaf<S>{m.table.col(column).data(), {2}};
      };
      f("table", column, block(first), block(rest)...);
    });
  }
};

/// 1, 2, 3, ... in the order of visit.
Model counted() {
  Model model;
  float next = 1;
  for_each_leaf(
      [&](const auto& leaf) {
        for (float& x : leaf.array()) x = next++;
      },
      model);
  return model;
}

std::vector<std::string> names(const Model& model) {
  std::vector<std::string> paths;
  for_each_named_leaf([&](const std::string& path, const auto&) { paths.push_back(path); }, model);
  return paths;
}

}  // namespace

TEST_CASE("shape: sizes, their product, equality") {
  constexpr Shape shape{5, 3, 2};
  CHECK(shape.rank == 3);
  CHECK(shape[1] == 3);
  CHECK(shape.size() == 30);
  CHECK(Shape{}.size() == 1);
  CHECK(shape == Shape{5, 3, 2});
  CHECK(shape != Shape{5, 3});
  CHECK(shape != Shape{5, 3, 2, 1});
}

TEST_CASE("leaf: outputs first, const where the object is const") {
  Linear linear;
  const Linear& constant = linear;
  CHECK(leaf(linear.weight).shape == Shape{2, 3});
  CHECK(leaf(linear.bias).shape == Shape{2});
  CHECK(leaf(linear.weight).data == linear.weight.data());
  CHECK(leaf(linear.weight, {2, 3, 1}).shape == Shape{2, 3, 1});
  leaf(linear.weight).array().setOnes();
  CHECK(linear.weight.sum() == 6);
  STATIC_REQUIRE(std::same_as<decltype(leaf(linear.weight)), Leaf<float>>);
  STATIC_REQUIRE(std::same_as<decltype(leaf(constant.weight)), Leaf<const float>>);
}

TEST_CASE("visit: names are joined by dots, a number alone is a name") {
  Model model;
  model.towers[0].bias.resize(0);
  CHECK(names(model) == std::vector<std::string>{"towers.0.weight", "towers.1.weight",
                                                 "towers.1.bias", "3.weight", "3.bias", "table.0",
                                                 "table.1", "table.2", "table.3"});
}

TEST_CASE("visit: modules by their names, each before its parts") {
  const Model model;
  std::string paths;
  for_each_named([&](const std::string& path, const auto&, const auto&) { paths += path + " "; },
                 model.layer, model.layer);
  CHECK(paths == " weight bias ");
  paths.clear();
  for_each_named(
      [&](const std::string& path, const auto& part) {
        if constexpr (!is_leaf<std::remove_cvref_t<decltype(part)>>) paths += path + " ";
      },
      model);
  CHECK(paths == " towers.0 towers.1 3 ");
}

TEST_CASE("visit: several objects side by side") {
  const Model a = counted();
  Model b;
  for_each_leaf([](const auto& from, const auto& to) { to.array() = 2 * from.array(); }, a, b);
  CHECK(pack<double>(b) == 2 * pack<double>(a));
  std::vector<std::string> different;
  b.layer.bias[1] += 1;
  for_each_named_leaf(
      [&](const std::string& path, const auto& x, const auto& y) {
        if ((2 * x.array() != y.array()).any()) different.push_back(path);
      },
      a, b);
  CHECK(different == std::vector<std::string>{"3.bias"});
}

TEST_CASE("visit: the touched blocks alone, in the model beside the gradient too") {
  const Model model = counted();
  Model gradient = counted();
  for (Index column : {2, 0}) gradient.touched.insert(column);
  std::vector<float> first;  // of each leaf of the model; the table's column j holds 25 + 2 j, ...
  for_each_touched_leaf(
      [&](const auto& dx, const auto& x) {
        CHECK((dx.array() == x.array()).all());
        first.push_back(x.data[0]);
      },
      gradient, model);
  CHECK(first == std::vector<float>{1, 7, 9, 15, 17, 23, 29, 25});
  CHECK(gradient.touched.size() == 2);
}

TEST_CASE("set_zero: what was touched becomes zero and is forgotten, the rest is not read") {
  Model gradient = counted();
  const Model before = gradient;
  for (Index column : {2, 0}) gradient.touched.insert(column);
  set_zero(gradient);
  CHECK(gradient.layer.weight.isZero(0));
  CHECK(gradient.towers[1].bias.isZero(0));
  CHECK(gradient.table.col(0).isZero(0));
  CHECK(gradient.table.col(2).isZero(0));
  CHECK(gradient.table.col(1) == before.table.col(1));
  CHECK(gradient.table.col(3) == before.table.col(3));
  CHECK(gradient.touched.size() == 0);
}

TEST_CASE("zeros_like, pack, unpack, num_parameters") {
  const Model model = counted();
  CHECK(num_parameters(model) == 3 * (6 + 2) + 8);
  CHECK(pack<double>(zeros_like(model)).isZero(0));
  const Vector<double> flat = pack<double>(model);
  CHECK(flat == Vector<double>::LinSpaced(32, 1, 32));
  Model other;
  unpack(flat, other);
  CHECK(other.table == model.table);
  CHECK(pack<double>(other) == flat);
}

namespace {

/// Blocks with a name each that lie side by side.
struct Stack {
  Matrix<float> columns = Matrix<float>::Ones(2, 3);
  IndexSet touched{3};

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    auto block = [](auto& m, Index i) {
      auto column = m.columns.col(i);
      return leaf(column, {2});
    };
    for_each_block(
        f, first, 3, [&](Index i) { f("", i, block(first, i), block(rest, i)...); },
        [&] { f("", no_index, leaf(first.columns), leaf(rest.columns)...); });
  }
};

}  // namespace

TEST_CASE("visit: blocks side by side are one leaf where all are wanted and none by name") {
  Stack stack;
  std::vector<Index> sizes;
  auto note = [&](const auto& leaf) { sizes.push_back(leaf.size()); };
  auto sizes_of = [&](const auto& walk) {
    sizes.clear();
    walk();
    return sizes;
  };
  CHECK(sizes_of([&] { for_each_leaf(note, stack); }) == std::vector<Index>{6});
  std::string names;
  for_each_named_leaf([&](const std::string& path, const auto&) { names += path + " "; }, stack);
  CHECK(names == "0 1 2 ");
  for (Index i : {2, 0}) stack.touched.insert(i);
  CHECK(sizes_of([&] { for_each_touched_leaf(note, stack); }) == std::vector<Index>{2, 2});
  stack.touched.insert(1);
  CHECK(sizes_of([&] { for_each_touched_leaf(note, stack); }) == std::vector<Index>{6});
  set_zero(stack);
  CHECK(stack.columns.isZero(0));
  CHECK(stack.touched.size() == 0);
}
