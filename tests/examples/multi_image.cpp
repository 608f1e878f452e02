// SPDX-License-Identifier: MIT
#include "train/multi_image.hpp"

#include "catch.hpp"
#include "message_of.hpp"

#include <set>
#include <string>
#include <vector>

using Catch::Matchers::ContainsSubstring;
using selgate::config_error;
using selgate::Index;
using selgate::Matrix;
using selgate::shape_error;
using selgate::examples::LabelledImages;
using selgate::examples::make_multi_images;
using selgate::examples::Merge;
using selgate::examples::MultiImageOptions;
using selgate::examples::MultiImages;
using selgate::test::message_of;

namespace {

/// Images whose bytes all differ from those of any other pixel nearby, and reach 255.
LabelledImages some_images(Index count, Index rows = 3, Index cols = 5) {
  LabelledImages data{{count, rows, cols, {}}, {}};
  for (Index i = 0; i < count * rows * cols; ++i) {
    data.images.bytes.push_back(static_cast<std::uint8_t>((i * 97 + 13) % 256));
  }
  for (Index i = 0; i < count; ++i) data.labels.push_back(static_cast<std::uint8_t>(i * 7 % 10));
  return data;
}

MultiImageOptions small_images() {
  return {
      .num_train = 400, .num_validation = 60, .num_test = 70, .validation_images = 4, .shift = 1};
}

struct Batch {
  Batch(const MultiImages& data, const std::vector<Index>& examples)
      : x(data.features(), static_cast<Index>(examples.size())),
        labels(2, static_cast<Index>(examples.size())) {
    x.setConstant(7);  // compose must set, not add
    data.compose(examples, x, labels);
  }
  Matrix<float> x;
  Matrix<float> labels;
};

}  // namespace

TEST_CASE("multi_image: a canvas is the two images at their places, merged and scaled") {
  const Merge merge = GENERATE(Merge::sum, Merge::clip, Merge::max);
  const LabelledImages source = some_images(12);
  MultiImageOptions options = small_images();
  options.merge = merge;
  options.shift = 2;
  const auto data = make_multi_images(source, some_images(5), options).train;
  REQUIRE(data.rows() == 7);
  REQUIRE(data.cols() == 9);
  std::vector<Index> examples;
  for (Index i = 0; i < data.size(); i += 3) examples.push_back(i);
  const Batch batch(data, examples);

  for (std::size_t b = 0; b < examples.size(); ++b) {
    const auto [first, second] = data.pair(examples[b]);
    auto pixel = [&](Index image, Index row, Index col) {
      const bool inside = 0 <= row && row < 3 && 0 <= col && col < 5;
      return inside ? int{source.images.bytes[static_cast<std::size_t>(image * 15 + row * 5 + col)]}
                    : 0;
    };
    const auto column = static_cast<Index>(b);
    for (Index row = 0; row < 7; ++row) {
      for (Index col = 0; col < 9; ++col) {
        const int top_left = pixel(first, row, col), bottom_right = pixel(second, row - 4, col - 4);
        const int merged = merge == Merge::max    ? std::max(top_left, bottom_right)
                           : merge == Merge::clip ? std::min(top_left + bottom_right, 255)
                                                  : top_left + bottom_right;
        const float expected = static_cast<float>(merged) / 255.0f;
        if (batch.x(row * 9 + col, column) != expected) {
          FAIL("row " << row << ", column " << col << ": " << batch.x(row * 9 + col, column)
                      << " is not " << expected);
        }
      }
    }
    CHECK(batch.labels(0, column) == float(source.labels[static_cast<std::size_t>(first)]));
    CHECK(batch.labels(1, column) == float(source.labels[static_cast<std::size_t>(second)]));
  }
}

TEST_CASE("multi_image: the sets have the sizes asked for and share no image") {
  const auto splits = make_multi_images(some_images(12), some_images(5), small_images());
  CHECK(splits.train.size() == 400);
  CHECK(splits.validation.size() == 60);
  CHECK(splits.test.size() == 70);
  auto images = [](const MultiImages& data) {
    std::set<Index> seen;
    for (Index i = 0; i < data.size(); ++i) seen.insert(data.pair(i).begin(), data.pair(i).end());
    return seen;
  };
  // So many draws miss one of so few images with probability below 1e-6.
  const auto train = images(splits.train), validation = images(splits.validation);
  CHECK(train.size() == 8);
  CHECK(validation.size() == 4);
  for (Index i : validation) CHECK(train.count(i) == 0);
  CHECK(images(splits.test) == std::set<Index>{0, 1, 2, 3, 4});
}

TEST_CASE("multi_image: both images are drawn uniformly and independently") {
  MultiImageOptions options = small_images();
  options.num_train = 36'000;
  options.validation_images = 6;
  const auto data = make_multi_images(some_images(12), some_images(5), options).train;
  Matrix<double> pairs = Matrix<double>::Zero(12, 12);
  for (Index i = 0; i < data.size(); ++i) pairs(data.pair(i)[0], data.pair(i)[1]) += 1;
  CHECK((pairs.array() > 0).count() == 36);
  // chi^2 with 35 degrees of freedom: mean 35, deviation 8.4; with this seed the figure is fixed.
  const double chi_square =
      (pairs.array() > 0).select((pairs.array() - 1000).square() / 1000, 0).sum();
  CHECK(chi_square < 35 + 4 * 8.4);
}

TEST_CASE("multi_image: the paper's sizes") {
  const auto splits =
      make_multi_images(some_images(60'000, 28, 28), some_images(10, 28, 28), MultiImageOptions{});
  CHECK(splits.train.size() == 100'000);
  CHECK(splits.validation.size() == 20'000);
  CHECK(splits.test.size() == 20'000);
  CHECK(splits.train.rows() == 36);
  CHECK(splits.train.features() == 1296);
}

TEST_CASE("multi_image: a set depends on its seed, not on sizes or on the batch") {
  const auto splits = make_multi_images(some_images(12), some_images(5), small_images());
  MultiImageOptions longer = small_images();
  longer.num_train = 500;
  longer.num_validation = 100;
  longer.num_test = 90;
  const auto same = make_multi_images(some_images(12), some_images(5), longer);
  longer.seed = 1;
  const auto other = make_multi_images(some_images(12), some_images(5), longer);
  auto equal_pairs = [](const MultiImages& a, const MultiImages& b) {
    Index equal = 0;
    for (Index i = 0; i < a.size(); ++i) equal += a.pair(i) == b.pair(i);
    return equal;
  };
  CHECK(equal_pairs(splits.train, same.train) == 400);
  CHECK(equal_pairs(splits.validation, same.validation) == 60);
  CHECK(equal_pairs(splits.test, same.test) == 70);
  CHECK(equal_pairs(splits.train, other.train) < 40);

  const Batch together(splits.train, {5, 0, 399}), alone(splits.train, {399});
  CHECK(together.x.col(2) == alone.x.col(0));
  CHECK(together.labels.col(2) == alone.labels.col(0));
  Batch(splits.train, {});
}

TEST_CASE("multi_image: options out of range and sizes that disagree are refused") {
  auto refuse = [](auto change) {
    MultiImageOptions options = small_images();
    change(options);
    return message_of<config_error>(
        [&] { make_multi_images(some_images(12), some_images(5), options); });
  };
  using Options = MultiImageOptions&;
  CHECK(refuse([](Options o) { o.num_train = 0; }) ==
        "MultiImages: num_train: expected >= 1, got 0");
  CHECK(refuse([](Options o) { o.num_validation = 0; }) ==
        "MultiImages: num_validation: expected >= 1, got 0");
  CHECK(refuse([](Options o) { o.num_test = -1; }) ==
        "MultiImages: num_test: expected >= 1, got -1");
  CHECK(refuse([](Options o) { o.shift = -1; }) == "MultiImages: shift: expected >= 0, got -1");
  for (Index wrong : {0, 12}) {
    CHECK(refuse([&](Options o) { o.validation_images = wrong; }) ==
          "MultiImages: validation_images: expected 1..11 of the 12 training images, got " +
              std::to_string(wrong));
  }
  CHECK_THAT(message_of<config_error>(
                 [] { make_multi_images(some_images(12), some_images(0), small_images()); }),
             ContainsSubstring("number of test images: expected >= 1, got 0"));
  auto shapes = [](LabelledImages train, LabelledImages test) {
    return message_of<shape_error>([&] { make_multi_images(train, test, small_images()); });
  };
  CHECK(shapes(some_images(12), some_images(5, 4, 5)) ==
        "MultiImages: rows of the test images: expected 3, got 4");
  CHECK(shapes(some_images(12), some_images(5, 3, 4)) ==
        "MultiImages: columns of the test images: expected 5, got 4");
  LabelledImages unlabelled = some_images(12);
  unlabelled.labels.pop_back();
  CHECK(shapes(unlabelled, some_images(5)) == "MultiImages: number of labels: expected 12, got 11");

  const auto data = make_multi_images(some_images(12), some_images(5), small_images()).train;
  auto compose = [&](std::vector<Index> examples, Index rows, Index cols, Index tasks,
                     Index labels) {
    Matrix<float> x(rows, cols);
    Matrix<float> classes(tasks, labels);
    data.compose(examples, x, classes);
  };
  CHECK(message_of<shape_error>([&] { compose({0}, 34, 1, 2, 1); }) ==
        "MultiImages: rows of x (pixels of the canvas): expected 35, got 34");
  CHECK(message_of<shape_error>([&] { compose({0}, 35, 2, 2, 1); }) ==
        "MultiImages: columns of x (examples): expected 1, got 2");
  CHECK(message_of<shape_error>([&] { compose({0}, 35, 1, 1, 1); }) ==
        "MultiImages: rows of labels (tasks): expected 2, got 1");
  CHECK(message_of<shape_error>([&] { compose({0}, 35, 1, 2, 3); }) ==
        "MultiImages: columns of labels (examples): expected 1, got 3");
  for (Index wrong : {-1, 400}) {
    CHECK(message_of<config_error>([&] { compose({wrong}, 35, 1, 2, 1); }) ==
          "MultiImages: example: expected 0..399, got " + std::to_string(wrong));
  }
}
