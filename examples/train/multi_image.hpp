// SPDX-License-Identifier: MIT
#pragma once

#include "idx.hpp"

#include <selgate/core/error.hpp>
#include <selgate/core/random.hpp>
#include <selgate/core/types.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace selgate::examples {

/// How two overlapping grey values become one.
enum class Merge {
  sum,   // a + b, up to 510
  clip,  // min(a + b, 255)
  max,   // max(a, b)
};

struct MultiImageOptions {
  Index num_train = 100'000;         // >= 1
  Index num_validation = 20'000;     // >= 1
  Index num_test = 20'000;           // >= 1
  Index validation_images = 10'000;  // of the training images; >= 1, and some must remain
  Index shift = 4;                   // pixels from the centre, >= 0
  Merge merge = Merge::sum;
  std::uint64_t seed = 0;
};

/// Pairs of images laid over each other: the data of Multi-MNIST and Multi-Fashion MNIST (DSelect-k
/// paper, 4.2 and D.2). One image is shifted to the top left, one to the bottom right; task 0 is
/// the class of the first, task 1 the class of the second.
///
/// Only the pairs are stored. `compose` lays a batch of them on canvases of
/// (rows + 2 shift) x (cols + 2 shift) pixels, 36 x 36 for 28 x 28 and shift 4, the first image at
/// (0, 0), the second at (2 shift, 2 shift), merged and divided by 255. A canvas is one column of
/// x, row by row. Const, so threads may share it.
class MultiImages {
 public:
  static constexpr Index num_tasks = 2;
  using Pair = std::array<std::int32_t, 2>;  // images: top left, bottom right

  MultiImages(std::shared_ptr<const LabelledImages> source, std::vector<Pair> pairs, Index shift,
              Merge merge)
      : source_(std::move(source)), pairs_(std::move(pairs)), shift_(shift), merge_(merge) {}

  [[nodiscard]] Index size() const { return static_cast<Index>(pairs_.size()); }
  [[nodiscard]] Index rows() const { return source_->images.rows + 2 * shift_; }
  [[nodiscard]] Index cols() const { return source_->images.cols + 2 * shift_; }
  [[nodiscard]] Index features() const { return rows() * cols(); }
  [[nodiscard]] const Pair& pair(Index i) const { return pairs_[static_cast<std::size_t>(i)]; }

  /// Sets x (features() x B) and labels (2 x B, class numbers) from B examples, each in
  /// 0..size()-1. Throws shape_error where sizes do not agree and config_error on an example out of
  /// range.
  void compose(std::span<const Index> examples, Out<float> x, Out<float> labels) const {
    const auto batch = static_cast<Index>(examples.size());
    require_size("MultiImages: rows of x (pixels of the canvas)", features(), x.rows());
    require_size("MultiImages: columns of x (examples)", batch, x.cols());
    require_size("MultiImages: rows of labels (tasks)", num_tasks, labels.rows());
    require_size("MultiImages: columns of labels (examples)", batch, labels.cols());
    for (Index b = 0; b < batch; ++b) {
      const Index example = examples[static_cast<std::size_t>(b)];
      require(0 <= example && example < size(), "MultiImages: example", "0.." + to_text(size() - 1),
              example);
      const auto [first, second] = pair(example);
      overlay(first, second, Eigen::Map<Matrix<float>>(x.col(b).data(), cols(), rows()));
      labels(0, b) = source_->labels[static_cast<std::size_t>(first)];
      labels(1, b) = source_->labels[static_cast<std::size_t>(second)];
    }
  }

 private:
  /// Images and canvas are seen as cols x rows here: Eigen's columns are their rows.
  void overlay(Index first, Index second, Eigen::Map<Matrix<float>> canvas) const {
    const IdxImages& images = source_->images;
    auto pixels = [&](Index i) {
      return Eigen::Map<const Matrix<std::uint8_t>>(images.image(i).data(), images.cols,
                                                    images.rows)
          .cast<float>();
    };
    auto bottom_right = canvas.bottomRightCorner(images.cols, images.rows);
    canvas.setZero();
    canvas.topLeftCorner(images.cols, images.rows) = pixels(first);
    if (merge_ == Merge::max) {
      bottom_right = bottom_right.cwiseMax(pixels(second));
    } else {
      bottom_right += pixels(second);
    }
    if (merge_ == Merge::clip) bottom_right = bottom_right.cwiseMin(255.0f);
    canvas /= 255.0f;
  }

  std::shared_ptr<const LabelledImages> source_;
  std::vector<Pair> pairs_;
  Index shift_;
  Merge merge_;
};

struct MultiImageSplits {
  MultiImages train, validation, test;
};

/// Draws the three sets. The training images are split once, at random and not by class, into those
/// of `train` and the `validation_images` of `validation`; `test` uses the test images alone, so no
/// image is in two sets. Both images of a pair are drawn uniformly and independently, with
/// replacement, whatever their classes; they may be the same image. A set depends on the seed and
/// not on the other sets' sizes, and is the beginning of any longer one.
///
/// The paper says "two uniformly sampled images", 36 x 36 and 100k/20k/20k. Merging by plain sum,
/// the 50k/10k split and no rule on the classes of a pair are those of its authors' later
/// generator, which differs in splitting by class and in pairing every image with two others.
///
/// Throws config_error on an option out of range, shape_error where images differ in size or labels
/// in number.
inline MultiImageSplits make_multi_images(LabelledImages train, LabelledImages test,
                                          const MultiImageOptions& options) {
  require(options.num_train >= 1, "MultiImages: num_train", ">= 1", options.num_train);
  require(options.num_validation >= 1, "MultiImages: num_validation", ">= 1",
          options.num_validation);
  require(options.num_test >= 1, "MultiImages: num_test", ">= 1", options.num_test);
  require(options.shift >= 0, "MultiImages: shift", ">= 0", options.shift);
  require(1 <= options.validation_images && options.validation_images < train.images.count,
          "MultiImages: validation_images",
          "1.." + to_text(train.images.count - 1) + " of the " + to_text(train.images.count) +
              " training images",
          options.validation_images);
  require(test.images.count >= 1, "MultiImages: number of test images", ">= 1", test.images.count);
  require_size("MultiImages: rows of the test images", train.images.rows, test.images.rows);
  require_size("MultiImages: columns of the test images", train.images.cols, test.images.cols);
  for (const LabelledImages* data : {&train, &test}) {
    require_size("MultiImages: number of labels", data->images.count,
                 static_cast<Index>(data->labels.size()));
  }

  const auto train_source = std::make_shared<const LabelledImages>(std::move(train));
  const auto test_source = std::make_shared<const LabelledImages>(std::move(test));
  Rng split_rng(options.seed);
  const std::vector<Index> shuffled = split_rng.permutation(train_source->images.count);
  std::vector<Index> all_test(static_cast<std::size_t>(test_source->images.count));
  for (std::size_t i = 0; i < all_test.size(); ++i) all_test[i] = static_cast<Index>(i);

  auto draw = [&](const std::shared_ptr<const LabelledImages>& source, std::span<const Index> pool,
                  Index count, std::uint64_t stream) {
    Rng rng(mix_key(options.seed, stream));
    std::vector<MultiImages::Pair> pairs(static_cast<std::size_t>(count));
    for (MultiImages::Pair& pair : pairs) {
      for (std::int32_t& image : pair)
        image = static_cast<std::int32_t>(pool[rng.below(pool.size())]);
    }
    return MultiImages(source, std::move(pairs), options.shift, options.merge);
  };
  const std::span<const Index> images(shuffled);
  const auto held_out = static_cast<std::size_t>(options.validation_images);
  return {draw(train_source, images.subspan(held_out), options.num_train, 1),
          draw(train_source, images.first(held_out), options.num_validation, 2),
          draw(test_source, all_test, options.num_test, 3)};
}

}  // namespace selgate::examples
