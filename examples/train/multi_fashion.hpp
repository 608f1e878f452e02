// SPDX-License-Identifier: MIT
#pragma once

#include "experiment.hpp"
#include "multi_image.hpp"

#include <filesystem>
#include <memory>

namespace selgate::examples {

/// Reads the four IDX files of MNIST or Fashion-MNIST (by their usual names, gzipped) from a
/// folder.
inline TaskData multi_fashion_data(const std::filesystem::path& folder,
                                   const MultiImageOptions& options) {
  auto read = [&](const std::string& set) {
    return read_labelled_images(folder / (set + "-images-idx3-ubyte.gz"),
                                folder / (set + "-labels-idx1-ubyte.gz"));
  };
  auto sets = std::make_shared<const MultiImageSplits>(
      make_multi_images(read("train"), read("t10k"), options));
  return {.features = sets->train.features(),
          .tasks = {"top left", "bottom right"},
          .measure = Measure::accuracy,
          .num_train = sets->train.size(),
          .num_test = sets->test.size(),
          .fill = [sets](Split split, std::span<const Index> examples, Out<float> x,
                         Out<float> labels) {
            (split == Split::train ? sets->train : sets->test).compose(examples, x, labels);
          }};
}

}  // namespace selgate::examples
