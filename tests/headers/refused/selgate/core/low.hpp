// SPDX-License-Identifier: MIT
#pragma once
#include <selgate/layer/high.hpp>
