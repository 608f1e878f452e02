// SPDX-License-Identifier: MIT
// error: lvalue required as left operand|expression is not assignable
#include <selgate/core/types.hpp>

// What a pass reads it cannot change.
void zero(const selgate::In<float>& x) { x(0, 0) = 0; }
