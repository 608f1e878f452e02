// SPDX-License-Identifier: MIT
#pragma once

/// Laws for your own layers, gates and experts, independent of any test framework.

#include <selgate/testing/allocation_law.hpp>
#include <selgate/testing/counted.hpp>
#include <selgate/testing/dual.hpp>
#include <selgate/testing/gate_laws.hpp>
#include <selgate/testing/gradient_check.hpp>
#include <selgate/testing/layer_laws.hpp>
#include <selgate/testing/mixture_laws.hpp>
#include <selgate/testing/report.hpp>
