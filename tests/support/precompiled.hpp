// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/product.hpp>

#include "catch.hpp"

/// Most of what a test file costs to compile is here once: Catch2, Eigen, and Eigen's products,
/// which products.cpp holds for all tests. That a header includes all it needs is proved elsewhere,
/// by headers/each_compiles_alone.
namespace selgate {

#define SELGATE_TEST_PRODUCTS(prefix, S)                                                        \
  prefix template void forward_product<S>(const In<S>&, const In<S>&, const In<S>&, Out<S>,     \
                                          SumOrder);                                            \
  prefix template void input_gradient_product<S>(const In<S>&, const In<S>&, Out<S>, SumOrder); \
  prefix template void weight_gradient_product<S>(const In<S>&, const In<S>&, Out<S>);          \
  prefix template void weight_gradient_product_of_rows<S>(const In<S>&, const In<S>&, Out<S>);

SELGATE_TEST_PRODUCTS(extern, float)
SELGATE_TEST_PRODUCTS(extern, double)

}  // namespace selgate
