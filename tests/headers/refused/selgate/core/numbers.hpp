// SPDX-License-Identifier: MIT
#pragma once
using Numbers = Eigen::VectorXd;
