// SPDX-License-Identifier: MIT
#pragma once

/// Everything but files (selgate/io/) and the laws for your own types (selgate/testing.hpp).

#include <selgate/core/concepts.hpp>
#include <selgate/gate/dselect_k_import.hpp>
#include <selgate/gate/dselect_k_report.hpp>
#include <selgate/gate/gate.hpp>
#include <selgate/gate/gate_report.hpp>
#include <selgate/layer/conv2d.hpp>
#include <selgate/layer/dense.hpp>
#include <selgate/layer/dropout.hpp>
#include <selgate/layer/embedding.hpp>
#include <selgate/layer/max_pool.hpp>
#include <selgate/layer/relu.hpp>
#include <selgate/layer/sequential.hpp>
#include <selgate/loss/loss.hpp>
#include <selgate/metric/accuracy.hpp>
#include <selgate/metric/auc.hpp>
#include <selgate/metric/rmse.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/list_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/mixture/multi_task.hpp>
#include <selgate/mixture/shared_bottom.hpp>
#include <selgate/optim/adagrad.hpp>
#include <selgate/optim/adam.hpp>
#include <selgate/optim/schedule.hpp>
#include <selgate/optim/sgd.hpp>
#include <selgate/train/trainer.hpp>
#include <selgate/version.hpp>
