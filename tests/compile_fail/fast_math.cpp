// SPDX-License-Identifier: MIT
// flags: -ffast-math
// error: selgate: -ffast-math breaks exact zeros
#include <selgate/core/types.hpp>
