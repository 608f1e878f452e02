#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peak memory of training: selgate's over its start-up, PyTorch's over its import.

    benchmarks/memory.py PROGRAM [--python PYTHON]

PROGRAM is selgate-benchmarks. A process each; of PyTorch's variants the least counts. Needs Debian's
package time.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

# Our case; the module of the peers, and how its variants are made.
CASES = {
    "movielens_train/gate:dselect/static:true/B:128/dropout:none": (
        "movielens",
        [
            f"training_step(Model('dselect', True, dropout='none', mix='{mix}'), False)"
            for mix in ("matmul", "broadcast")
        ],
    ),
    "fashion_train/gate:dselect/static:true/B:256": (
        "fashion",
        [f"training_step('dselect', True, {grouped})" for grouped in (True, False)],
    ),
}
START_UP = "regularizer/n:8"  # a case of next to nothing

PEER = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, {peers!r})
import torch
torch.set_num_threads(1)
from {module} import *

def kilobytes(key):
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith(key)).split()[1])

with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts here
before = kilobytes("VmRSS")
step = {make}
for _ in range(10):
    step()
print(kilobytes("VmHWM") - before)
"""


def peak_of(program, case):
    """Kilobytes. By a program between, since a child of Python starts with Python's own peak."""
    flags = [f"--benchmark_filter=^{case}/real_time$", "--benchmark_min_time=0.01"]
    result = subprocess.run(
        ["/usr/bin/time", "-f", "%M", program, *flags], capture_output=True, text=True, check=True
    )
    return int(result.stderr.splitlines()[-1])


def peak_of_peer(python, module, make):
    code = PEER.format(peers=str(Path(__file__).parent / "peers"), module=module, make=make)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        [python, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return int(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="path of selgate-benchmarks")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    arguments = parser.parse_args()
    start_up = peak_of(arguments.program, START_UP)
    print(f"| peak memory of training, MB over start-up ({start_up / 1024:.0f} MB) | PyTorch | selgate | ratio |")
    print("|---|--:|--:|--:|")
    for case, (module, variants) in CASES.items():
        ours = peak_of(arguments.program, case) - start_up
        peer = min(peak_of_peer(arguments.python, module, make) for make in variants)
        name = case.replace("/", " ").replace(":", "=")
        print(f"| {name} | {peer / 1024:.1f} | {ours / 1024:.1f} | {ours / peer:.2f} |")


if __name__ == "__main__":
    main()
