// SPDX-License-Identifier: MIT
#pragma once

#include "idx.hpp"

#include <selgate/core/types.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace selgate::examples {

/// Images pooled to few features, with their classes.
struct PooledImages {
  Matrix<float> x;       // features x images, each feature with mean 0 and variance 1 in training
  Matrix<float> labels;  // 1 x images
};
struct PooledSplits {
  PooledImages train, test;
};

/// Means over size x size pixels; the moments of the training images normalise both sets. Reads the
/// four IDX files of MNIST's format.
PooledSplits read_pooled_images(const std::filesystem::path& folder, Index size);

struct ManyExpertsOptions {
  Index num_experts = 4096;
  Index k = 2;
  double gamma = 0.1;
  double code_range = 5;  // z starts U(+-code_range gamma): most bits are binary from the start
  double learning_rate = 0.1;  // of Adagrad
  Index batch = 256;
  Index epochs = 10;
  std::uint64_t seed = 1;
};

struct ManyExpertsResult {
  std::string gate;
  std::int64_t steps = 0;
  double accuracy = 0;
  double training_flops = 0;
  double seconds = 0;
  double mean_experts = 0;  // an example, at the end
  Index used_experts = 0;   // by any test example
};

/// One layer of linear experts behind a per-example gate, trained with its weights as lists: an
/// expert that no example of a batch selects costs nothing at any step. DSelect-k, then top-k for
/// as many steps, and top-k for as many FLOPs.
std::vector<ManyExpertsResult> run_many_experts(const PooledSplits& data,
                                                const ManyExpertsOptions& options);

}  // namespace selgate::examples
