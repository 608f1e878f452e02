// SPDX-License-Identifier: MIT
// error: constraint.*Layer
#include <selgate/layer/sequential.hpp>

// A loss is no layer.
struct Loss {};
selgate::Sequential<Loss>* model = nullptr;
