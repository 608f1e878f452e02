// SPDX-License-Identifier: MIT
// A second file with everything in it: the program links only if every definition may be repeated.
#include <selgate/selgate.hpp>

double half() { return 0.5; }
