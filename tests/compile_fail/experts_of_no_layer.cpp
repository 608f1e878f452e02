// SPDX-License-Identifier: MIT
// error: constraint.*Layer
#include <selgate/mixture/list_bank.hpp>

// An expert has a backward pass of its own.
struct Expert {
  using Scalar = float;
};
selgate::ListBank<Expert>* experts = nullptr;
