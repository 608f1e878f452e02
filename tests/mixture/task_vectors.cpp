// SPDX-License-Identifier: MIT
#include <selgate/mixture/task_vectors.hpp>

#include "catch.hpp"

#include <type_traits>

using namespace selgate;

TEST_CASE("task vectors: rows of a matrix, or of a part of one") {
  const Matrix<double> whole = Matrix<double>::Random(9, 5);
  const In<double> part = whole.block(1, 2, 6, 3);
  const auto vectors = rows_of_tasks(part, 2);
  CHECK((vectors.num_tasks == 3 && vectors.batch == 3));
  for (Index t = 0; t < 3; ++t) {
    for (Index b = 0; b < 3; ++b) CHECK(vectors.at(t, b) == &whole(1 + 2 * t, 2 + b));
  }
  STATIC_REQUIRE(std::is_const_v<std::remove_pointer_t<decltype(vectors.at(0, 0))>>);
  Matrix<double> own(6, 2);
  *rows_of_tasks(own, 3).at(1, 1) = 7;
  CHECK(own(3, 1) == 7);
}
