// SPDX-License-Identifier: MIT
#include <selgate/layer/dropout_mask.hpp>

#include "catch.hpp"

#include <array>

using namespace selgate;

namespace {

Vector<double> entries(const DropoutMask<double>& mask, const Context& context, Index first,
                       Index size, Index column = 2) {
  Vector<double> result = Vector<double>::Constant(size, -1);
  mask.for_each_block(context, column, first, size, [&](Index i, const auto& block) {
    CHECK((result.segment(i, block.size()).array() == -1).all());
    result.segment(i, block.size()) = block;
  });
  return result;
}

}  // namespace

TEST_CASE("dropout mask: an entry does not depend on where a pass begins or ends") {
  const DropoutMask<double> mask("rate", 0.25, 7);
  const Context context = training(5, 1, 2);
  const auto all = entries(mask, context, 0, 400);
  CHECK(((all.array() == 0) || (all.array() == 4.0 / 3)).all());
  for (const Index first : {0, 1, 127, 128, 200}) {
    for (const Index size : {0, 1, 127, 128, 129, 200}) {
      CHECK(entries(mask, context, first, size) == all.segment(first, size));
    }
  }
}

TEST_CASE("dropout mask: seed, step, stream, example and unit decide, the column does not") {
  const DropoutMask<double> mask("rate", 0.5, 7), other("rate", 0.5, 8);
  const Context context = training(5, 1, 2);
  const Vector<double> base = entries(mask, context, 0, 256);  // of column 2
  CHECK(base.head(128) != base.tail(128));
  CHECK(base != entries(other, context, 0, 256));
  CHECK(base != entries(mask, training(5, 2, 2), 0, 256));
  CHECK(base != entries(mask, training(5, 1, 3), 0, 256));
  Context selection = context;
  const std::array<Index, 3> examples{2, 0, 4};
  selection.examples = examples;
  CHECK(base == entries(mask, selection, 0, 256, 0));
  CHECK(base != entries(mask, selection, 0, 256, 2));
}

TEST_CASE("dropout mask: drops in training alone, and not at rate 0") {
  const DropoutMask<float> mask("rate", 0.5, 7), none("rate", 0, 7);
  CHECK(mask.drops(training(1)));
  CHECK_FALSE(mask.drops(Context{}));
  CHECK_FALSE(none.drops(training(1)));
  CHECK(mask.kept() == 2);
  CHECK(none.kept() == 1);
}

TEST_CASE("dropout mask: names the option that is out of range") {
  CHECK_THROWS_WITH(DropoutMask<float>("x: rate", 1, 0), "x: rate: expected in [0, 1), got 1");
}
