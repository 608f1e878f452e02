#!/bin/sh
# SPDX-License-Identifier: MIT
# No build system: a compiler, and what the installed .pc file says.
set -eu
compiler=$1 prefix=$2 consumer=$3

export PKG_CONFIG_PATH="$prefix/share/pkgconfig"
program="$prefix/../pkg_config_consumer"
# shellcheck disable=SC2046  # several words are meant
"$compiler" -std=c++20 $(pkg-config --cflags selgate) "$consumer"/*.cpp $(pkg-config --libs selgate) -o "$program"
"$program"
