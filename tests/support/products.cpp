// SPDX-License-Identifier: MIT
#include "precompiled.hpp"

namespace selgate {

SELGATE_TEST_PRODUCTS(, float)
SELGATE_TEST_PRODUCTS(, double)

}  // namespace selgate
