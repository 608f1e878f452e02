// SPDX-License-Identifier: MIT
// error: integral
#include <selgate/layer/dense.hpp>

// Weights that are whole numbers would all be 0 at the start, and stay there.
selgate::Dense<int> dense({.in_features = 3, .out_features = 2}, selgate::Rng(1));
