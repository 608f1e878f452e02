# SPDX-License-Identifier: MIT
"""Gates alone: the sizes of benchmarks/gates.cpp."""

import torch
from gates import Gates
from timing import gradients, inference

SIZES = [(n, 2, 128, batch) for n in (8, 64, 1024) for batch in (1, 256, 1024)]
SIZES += [(4096, 2, 128, 1), (4096, 2, 128, 256), (1 << 16, 2, 128, 32), (1 << 20, 2, 128, 1)]
SIZES += [(64, 2, 32, 256), (64, 2, 256, 256)]
OTHER_K = [(64, 1, 128, 256), (64, 4, 128, 256)]
SPARE_CODES = [(100, 2, 128, 256)]


def forward(gate, x):
    return inference(gate.eval(), x)


def forward_backward(gate, x):
    gate.train()
    derivative = torch.randn_like(gate(x)[0])
    one = torch.ones(())

    def outputs():
        weights, regularizer = gate(x)
        if regularizer is None:
            return [(weights, derivative)]
        return [(weights, derivative), (regularizer, one)]

    return gradients(gate.parameters(), outputs)


def variants(kind, size, static, build):
    """Implementations by name. Products over the bits of every code are left out where they need
    more than 16 MB: they are ten times slower there."""
    n, k, p, batch = size

    def variant(**how):
        def make():
            gate = Gates(kind, 1, n, k, None if static else p, **how)
            return build(gate, torch.randn(batch, p))

        return make

    if kind != "dselect":
        return {"torch": variant()}
    all_variants = {"torch_doubling": variant(), "torch_doubling_script": variant(script=True)}
    if batch * k * n * n.bit_length() * 4 <= 16e6:
        all_variants["torch_product"] = variant(product=True)
        all_variants["torch_product_script"] = variant(product=True, script=True)
    return all_variants


def add(bench, kind, size):
    n, k, p, batch = size
    settings = dict(n=n, k=1 if kind == "softmax" else k, p=p, B=batch)
    for static in (False, True) if batch == 1 else (False,):
        suffix = kind + ("_static" if static else "")
        for passes, build in (("fwd", forward), ("fwdbwd", forward_backward)):
            bench.case(f"gate_{passes}_{suffix}", settings, variants(kind, size, static, build))


def run(bench):
    for size in SIZES:
        for kind in ("softmax", "topk", "dselect"):
            add(bench, kind, size)
    for size in OTHER_K:
        for kind in ("topk", "dselect"):
            add(bench, kind, size)
    for size in SPARE_CODES:
        add(bench, "dselect", size)
