// SPDX-License-Identifier: MIT
// flags: -fno-exceptions
// error: selgate: reports errors by exceptions
#include <selgate/core/types.hpp>
