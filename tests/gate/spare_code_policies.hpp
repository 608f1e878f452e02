// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/code_book.hpp>

namespace selgate::test {

inline constexpr SpareCodes policies[] = {SpareCodes::penalty, SpareCodes::fold, SpareCodes::random,
                                          SpareCodes::renormalise};

}  // namespace selgate::test
