# SPDX-License-Identifier: MIT
"""Dense experts behind gates: all run on everything, or each on the examples that select it."""

import torch
import torch.nn.functional as F
from gates import Gates
from torch import nn


def random_mask(h):
    """Dropout by comparing uniform numbers: cheaper on a CPU than F.dropout, which draws one unit
    at a time."""
    return h * (torch.rand_like(h) < 0.5) * 2.0


DROPOUTS = {"none": lambda h: h, "F.dropout": lambda h: F.dropout(h, 0.5), "rand": random_mask}


class Mixture(nn.Module):
    """n experts of ReLU units as one linear map, one weighted sum of them a task: (batch, tasks,
    units), and the gates' regularizer."""

    def __init__(
        self, kind, tasks, n, k, features, units, static=False, dropout="none", mix="matmul"
    ):
        super().__init__()
        self.n, self.units, self.dropout, self.mix = n, units, dropout, mix
        self.experts = nn.Linear(features, n * units)
        self.gates = Gates(kind, tasks, n, k, None if static else features)

    def forward(self, x):
        weights, regularizer = self.gates(x)
        if self.mix == "conditional":
            return self.run_selected(x, weights), regularizer
        h = self.activate(self.experts(x)).view(-1, self.n, self.units)
        if self.mix == "broadcast":
            return (weights.unsqueeze(-1) * h.unsqueeze(1)).sum(2), regularizer
        return torch.matmul(weights, h), regularizer

    def activate(self, h):
        h = F.relu(h)
        return DROPOUTS[self.dropout](h) if self.training else h

    def run_selected(self, x, weights):
        y = x.new_zeros(x.shape[0], weights.shape[1], self.units)
        # Unbound once: indexing the stack expert by expert would write a whole gradient for each.
        matrices = self.experts.weight.view(self.n, self.units, -1).unbind(0)
        biases = self.experts.bias.view(self.n, self.units).unbind(0)
        selected = (weights != 0).any(1).t()
        for e in range(self.n):
            rows = selected[e].nonzero().squeeze(1)
            if rows.numel() == 0:
                continue
            h = self.activate(F.linear(x[rows], matrices[e], biases[e]))
            y = y.index_add(0, rows, weights[rows, :, e].unsqueeze(-1) * h.unsqueeze(1))
        return y
