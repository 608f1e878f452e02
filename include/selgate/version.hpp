// SPDX-License-Identifier: MIT
#pragma once

// The one place that says the version: CMake, the package files and programs read it here.
#define SELGATE_VERSION_MAJOR 0
#define SELGATE_VERSION_MINOR 1
#define SELGATE_VERSION_PATCH 0
