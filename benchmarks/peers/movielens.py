# SPDX-License-Identifier: MIT
"""The recommender of benchmarks/movielens.cpp: 8 experts of 256 units, two tasks."""

import torch
import torch.nn.functional as F
from mixture import DROPOUTS, Mixture
from timing import inference, traced, training
from torch import nn

FEATURES, EXPERTS, UNITS, TASKS, TRAIN_BATCH = 128, 8, 256, 2, 128


class Model(nn.Module):
    """Both tasks' towers (256 ReLU units, then one output) are computed side by side."""

    def __init__(self, kind, static, **how):
        super().__init__()
        self.mixture = Mixture(kind, TASKS, EXPERTS, 2, FEATURES, UNITS, static, **how)
        self.hidden = nn.Parameter(torch.randn(TASKS, UNITS, 256) / 16)
        self.hidden_bias = nn.Parameter(torch.zeros(TASKS, 1, 256))
        self.last = nn.Parameter(torch.randn(TASKS, 256, 1) / 16)
        self.last_bias = nn.Parameter(torch.zeros(TASKS, 1, 1))

    def outputs(self, x):
        y, regularizer = self.mixture(x)
        h = F.relu(torch.baddbmm(self.hidden_bias, y.transpose(0, 1), self.hidden))
        return torch.baddbmm(self.last_bias, h, self.last).squeeze(-1), regularizer

    def forward(self, x):
        return self.outputs(x)[0]


def training_step(model, foreach):
    x = torch.randn(TRAIN_BATCH, FEATURES)
    liked, rating = torch.randint(0, 2, (TRAIN_BATCH,)).float(), torch.rand(TRAIN_BATCH) * 4 + 1

    def loss():
        out, regularizer = model.outputs(x)
        total = F.binary_cross_entropy_with_logits(out[0], liked) + F.mse_loss(out[1], rating)
        return 0.5 * total if regularizer is None else 0.5 * total + 0.1 * regularizer

    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01, foreach=foreach)
    return training(model, optimizer, loss)


def prediction(kind, static, mix, batch, trace):
    model = Model(kind, static, mix=mix).eval()
    x = torch.randn(batch, FEATURES)
    return inference(traced(model, x) if trace else model, x)


def add_training(bench, settings, kind, static, how):
    """how: the name of an implementation -> its mix and whether the optimizer is a foreach one."""
    for dropout in DROPOUTS:
        bench.case(
            "movielens_train",
            settings | {"dropout": dropout},
            {
                name: lambda mix=mix, foreach=foreach: training_step(
                    Model(kind, static, dropout=dropout, mix=mix), foreach
                )
                for name, (mix, foreach) in how.items()
            },
        )


def add_inference(bench, settings, kind, static, batch):
    bench.case(
        "movielens_infer",
        settings,
        {
            name: lambda mix=mix, trace=trace: prediction(kind, static, mix, batch, trace)
            for name, mix, trace in (
                ("torch", "matmul", False),
                ("torch_traced", "matmul", True),
                ("torch_broadcast_traced", "broadcast", True),
            )
        },
    )


DENSE = {
    "torch": ("matmul", False),
    "torch_broadcast": ("broadcast", False),
    "torch_foreach": ("matmul", True),
}
CONDITIONAL = {
    "torch_conditional": ("conditional", False),
    "torch_conditional_foreach": ("conditional", True),
}


def run(bench):
    for static in (False, True):
        for kind in ("softmax", "topk", "dselect"):
            settings = dict(gate=kind, static=static, B=TRAIN_BATCH)
            add_training(bench, settings, kind, static, DENSE)
            for batch in (1, TRAIN_BATCH):
                add_inference(bench, settings | {"B": batch}, kind, static, batch)
    settings = dict(gate="topk", static=False, B=TRAIN_BATCH)
    add_training(bench, settings, "topk", False, CONDITIONAL)
