# SPDX-License-Identifier: MIT
"""Times one variant of a case and prints it."""

import gc
import json
import re
import statistics
import time

import torch


class Bench:
    def __init__(self, pattern, budget, threads):
        self.pattern = re.compile(pattern)
        self.budget = budget
        self.threads = threads

    def case(self, name, settings, variants):
        """variants: the name of an implementation -> a function that builds the call to time."""
        if not self.pattern.search(full_name(name, settings)):
            return
        for implementation, build in variants.items():
            torch.manual_seed(1)
            line = {"case": name, **settings, "impl": implementation, "threads": self.threads}
            line["median_us"] = round(median_seconds(build(), self.budget) * 1e6, 3)
            print(json.dumps(line), flush=True)


def full_name(case, settings):
    """As the benchmarks of selgate spell it: "gate_fwd_softmax/n:8/B:1"."""
    values = [(key, json.dumps(value).strip('"')) for key, value in settings.items()]
    return "/".join([case] + [f"{key}:{value}" for key, value in values])


def median_seconds(call, budget):
    """The fastest of three medians, each over a third of the budget and 3 samples at least: what
    else the machine does rarely lasts through all of them. A sample is as many calls as take
    100 us, so that the clock does not count."""
    for _ in range(3):
        call()
    calls = 1
    while seconds(call, calls) < 1e-4:
        calls *= 2
    gc.collect()
    gc.disable()
    medians = []
    for _ in range(3):
        samples = []
        end = time.perf_counter() + budget / 3
        while len(samples) < 3 or time.perf_counter() < end:
            samples.append(seconds(call, calls) / calls)
        medians.append(statistics.median(samples))
    gc.enable()
    return min(medians)


def seconds(call, calls):
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


def inference(model, *inputs):
    """A call that predicts, without a record for gradients."""

    def call():
        with torch.inference_mode():
            model(*inputs)

    return call


def traced(model, x):
    """The model as it would be served: traced once, parameters frozen into the graph."""
    with torch.no_grad():
        return torch.jit.freeze(torch.jit.trace(model.eval(), x))


def training(model, optimizer, loss):
    """A call that takes an optimizer step."""

    def call():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    model.train()
    return call


def gradients(parameters, outputs):
    """A call that computes the gradients of all parameters from `outputs()`, pairs of a tensor and
    its derivative."""
    parameters = list(parameters)

    def call():
        values, derivatives = zip(*outputs())
        torch.autograd.backward(values, derivatives)
        for parameter in parameters:
            parameter.grad = None

    return call
