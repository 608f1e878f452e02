// SPDX-License-Identifier: MIT
// error: (error\(.*protected|protected constructor)
#include <selgate/core/error.hpp>

// selgate::error is what all errors share, not an error.
void fail() { throw selgate::error(selgate::error::Code::config); }
