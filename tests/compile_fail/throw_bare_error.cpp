// SPDX-License-Identifier: MIT
// error: abstract class
#include <selgate/core/error.hpp>

// selgate::error is what all errors share, not an error.
void fail() { throw selgate::error(selgate::error::Code::config); }
