# SPDX-License-Identifier: MIT
"""One layer of experts behind a per-example top-k gate: the sizes of benchmarks/layer.cpp."""

import torch
from mixture import Mixture
from timing import gradients, inference

# Experts, features, batch.
SIZES = [(8, 128, 128), (8, 128, 1024), (32, 256, 1024), (64, 256, 1024)]
K, UNITS = 2, 256


def forward(layer, x):
    return inference(layer.eval(), x)


def forward_backward(layer, x):
    derivative = torch.randn(x.shape[0], 1, UNITS)
    return gradients(layer.parameters(), lambda: [(layer(x)[0], derivative)])


def run(bench):
    for n, p, batch in SIZES:
        for passes, build in (("fwdbwd", forward_backward), ("fwd", forward)):
            bench.case(
                f"layer_topk_{passes}",
                dict(n=n, k=K, p=p, u=UNITS, B=batch),
                {
                    name: lambda mix=mix: build(
                        Mixture("topk", 1, n, K, p, UNITS, mix=mix), torch.randn(batch, p)
                    )
                    for name, mix in (
                        ("torch", "matmul"),
                        ("torch_broadcast", "broadcast"),
                        ("torch_conditional", "conditional"),
                    )
                },
            )
