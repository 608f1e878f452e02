# SPDX-License-Identifier: MIT
"""Softmax, top-k and DSelect-k gates in PyTorch: whole batches of tensors, no Python loop over
examples, tasks or experts."""

import math
from typing import Optional, Tuple

import torch
from torch import Tensor, nn


def top_k(logits: Tensor, k: int) -> Tensor:
    kept, where = logits.topk(k, dim=-1)
    return torch.zeros_like(logits).scatter(-1, where, kept.softmax(-1))


def smooth_step(z: Tensor, gamma: float) -> Tensor:
    v = torch.clamp(z / gamma + 0.5, 0.0, 1.0)
    return v * v * (3.0 - 2.0 * v)


def by_doubling(bits: Tensor) -> Tensor:
    """(..., m) bits -> (..., 2^m) weights of the codes, least significant bit first, in m outer
    products."""
    weights = torch.stack([1.0 - bits[..., 0], bits[..., 0]], -1)
    for j in range(1, bits.shape[-1]):
        bit = bits[..., j : j + 1]
        weights = torch.cat([weights * (1.0 - bit), weights * bit], -1)
    return weights


def by_product(bits: Tensor, codes: Tensor) -> Tensor:
    """The same as a product over the m bits of every code; codes: (2^m, m) booleans."""
    bits = bits.unsqueeze(-2)
    return torch.where(codes, bits, 1.0 - bits).prod(-1)


def dselect_k(
    logits: Tensor, n: int, k: int, gamma: float, codes: Optional[Tensor], training: bool
) -> Tuple[Tensor, Optional[Tensor]]:
    """(..., k + k m) logits -> (..., n) weights; in training also the regularizer: entropy, and the
    penalty for codes without an expert, summed over selectors, mean over the rest."""
    alpha, z = logits[..., :k], logits[..., k:]
    bits = smooth_step(torch.stack(z.chunk(k, -1), -2), gamma)
    if codes is None:
        selectors = by_doubling(bits)
    else:
        selectors = by_product(bits, codes)
    weights = torch.matmul(alpha.softmax(-1).unsqueeze(-2), selectors).squeeze(-2)
    has_spare_codes = n & (n - 1) != 0
    regularizer: Optional[Tensor] = None
    if training:
        columns = alpha.numel() // k
        total = -(selectors * torch.log(selectors + 1e-6)).sum()
        if has_spare_codes:
            total = total + (1.0 / selectors[..., :n].sum(-1)).sum()
        regularizer = total / columns
    return weights[..., :n] if has_spare_codes else weights, regularizer


scripted_dselect_k = torch.jit.script(dselect_k)


class Gates(nn.Module):
    """Gates of several tasks over n experts, per example on `features`, or static for None. Returns
    (batch, tasks, n) or (tasks, n) weights, and the regularizer or None."""

    def __init__(self, kind, tasks, n, k, features=None, product=False, script=False):
        super().__init__()
        self.kind, self.tasks, self.n, self.k = kind, tasks, n, k
        m = max(1, math.ceil(math.log2(n)))
        size = k + k * m if kind == "dselect" else n
        if features is None:
            self.logits = nn.Parameter(torch.empty(tasks, size).uniform_(-0.4, 0.4))
        else:
            self.logits = nn.Linear(features, tasks * size, bias=kind != "dselect")
        if features is not None and kind == "dselect":
            # Standard normal features then give fractional bits: z has a deviation of 0.15 gamma.
            nn.init.normal_(self.logits.weight, 0, 0.15 / math.sqrt(features))
        self.select = scripted_dselect_k if script else dselect_k
        codes = None
        if product:
            codes = (torch.arange(2**m).unsqueeze(1) >> torch.arange(m)) % 2 == 1
        self.register_buffer("codes", codes)

    def forward(self, x) -> Tuple[Tensor, Optional[Tensor]]:
        if isinstance(self.logits, nn.Linear):
            logits = self.logits(x).view(x.shape[0], self.tasks, -1)
        else:
            logits = self.logits
        if self.kind == "softmax":
            return logits.softmax(-1), None
        if self.kind == "topk":
            return top_k(logits, self.k), None
        return self.select(logits, self.n, self.k, 1.0, self.codes, self.training)
