# SPDX-License-Identifier: MIT
"""The convolution experts of benchmarks/fashion.cpp: 36 x 36 images, 8 networks, two tasks."""

import torch
import torch.nn.functional as F
from gates import Gates
from timing import training
from torch import nn

SIDE, EXPERTS, TASKS, BATCH = 36, 8, 2, 256


class Model(nn.Module):
    """The experts' convolutions run grouped, as one of 8 times the channels, or in a loop."""

    def __init__(self, kind, static, grouped):
        super().__init__()
        self.grouped = grouped
        self.first = nn.Conv2d(1, EXPERTS * 10, 5)
        if grouped:
            self.second = nn.Conv2d(EXPERTS * 10, EXPERTS * 20, 5, groups=EXPERTS)
        else:
            self.second = nn.ModuleList(nn.Conv2d(10, 20, 5) for _ in range(EXPERTS))
        self.last = nn.Parameter(torch.randn(EXPERTS, 720, 50) / 27)
        self.last_bias = nn.Parameter(torch.zeros(EXPERTS, 1, 50))
        self.gates = Gates(kind, TASKS, EXPERTS, 2, None if static else SIDE * SIDE)
        sizes = [50, 50, 50, 10]
        self.towers = nn.ParameterList(
            nn.Parameter(torch.randn(TASKS, a, b) / a**0.5) for a, b in zip(sizes, sizes[1:])
        )
        self.tower_biases = nn.ParameterList(
            nn.Parameter(torch.zeros(TASKS, 1, b)) for b in sizes[1:]
        )

    def experts(self, x):
        """(batch, 1, 36, 36) -> (experts, batch, 50)."""
        h = F.max_pool2d(F.relu(self.first(x)), 2)
        if self.grouped:
            h = F.max_pool2d(F.relu(self.second(h)), 2).view(-1, EXPERTS, 720).transpose(0, 1)
        else:
            outputs = [conv(part) for conv, part in zip(self.second, h.split(10, 1))]
            h = torch.stack([F.max_pool2d(F.relu(y), 2).flatten(1) for y in outputs])
        return F.relu(torch.baddbmm(self.last_bias, h, self.last))

    def forward(self, x):
        weights, regularizer = self.gates(x.flatten(1))
        y = torch.matmul(weights, self.experts(x).transpose(0, 1)).transpose(0, 1)
        for i, (weight, bias) in enumerate(zip(self.towers, self.tower_biases)):
            y = torch.baddbmm(bias, y, weight)
            if i + 1 < len(self.towers):
                y = F.relu(y)
        return y, regularizer


def training_step(kind, static, grouped):
    model = Model(kind, static, grouped)
    x, labels = torch.randn(BATCH, 1, SIDE, SIDE), torch.randint(0, 10, (TASKS, BATCH))

    def loss():
        out, regularizer = model(x)
        error = sum(F.cross_entropy(out[t], labels[t]) for t in range(TASKS))
        return error if regularizer is None else error + 0.1 * regularizer

    return training(model, torch.optim.Adam(model.parameters()), loss)


GATES = [("softmax", False), ("topk", False), ("dselect", False), ("dselect", True)]


def run(bench):
    for kind, static in GATES:
        bench.case(
            "fashion_train",
            dict(gate=kind, static=static, B=BATCH),
            {
                name: lambda grouped=grouped: training_step(kind, static, grouped)
                for name, grouped in (("torch_grouped", True), ("torch_loop", False))
            },
        )
