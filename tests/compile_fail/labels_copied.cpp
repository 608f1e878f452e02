// SPDX-License-Identifier: MIT
// error: deleted .*Labels
#include <selgate/core/labels.hpp>

// The copy would look into the first, which may hold the numbers of an expression.
selgate::Labels<float> second(const selgate::Labels<float>& first) { return first; }
