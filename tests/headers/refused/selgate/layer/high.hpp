// SPDX-License-Identifier: MIT
#pragma once
#include <selgate/core/low.hpp>
