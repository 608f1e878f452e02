# SPDX-License-Identifier: MIT
"""The synthetic tasks of benchmarks/synthetic.cpp: T regressions, T/4 experts, static gates."""

import torch
import torch.nn.functional as F
from gates import Gates
from timing import training
from torch import nn

FEATURES, UNITS, K, BATCH = 10, 4, 4, 256


class Model(nn.Module):
    """An expert is the sum of its ReLU units."""

    def __init__(self, kind, tasks):
        super().__init__()
        self.experts = tasks // 4
        self.units = nn.Linear(FEATURES, self.experts * UNITS)
        self.gates = Gates(kind, tasks, self.experts, K)

    def forward(self, x):
        weights, regularizer = self.gates(x)
        outputs = F.relu(self.units(x)).view(-1, self.experts, UNITS).sum(-1)
        return outputs @ weights.t(), regularizer


def training_step(kind, tasks, foreach):
    model = Model(kind, tasks)
    x, y = torch.randn(BATCH, FEATURES), torch.randn(BATCH, tasks)

    def loss():
        out, regularizer = model(x)
        error = F.mse_loss(out, y)
        return error if regularizer is None else error + 0.1 * regularizer

    return training(model, torch.optim.Adam(model.parameters(), foreach=foreach), loss)


def run(bench):
    for tasks in (16, 128):
        for kind in ("softmax", "topk", "dselect"):
            bench.case(
                "synthetic_train",
                dict(gate=kind, static=True, T=tasks, B=BATCH),
                {
                    name: lambda foreach=foreach: training_step(kind, tasks, foreach)
                    for name, foreach in (("torch", False), ("torch_foreach", True))
                },
            )
