# SPDX-License-Identifier: MIT
"""PyTorch's times for the cases of selgate-benchmarks, as lines of JSON, one a variant.

    python3 benchmarks/peers [--filter REGEX] [--budget SECONDS] [--threads N]

Each case is written in every way that a careful user might (eager, scripted, traced, foreach ...);
the fastest is the one to compare with. Exits with 3 where PyTorch is absent.
"""

import argparse
import json
import os
import sys


def parse_arguments():
    parser = argparse.ArgumentParser(prog="peers", description=__doc__.splitlines()[0])
    parser.add_argument("--filter", default="", help="regular expression on the names of cases")
    parser.add_argument("--budget", type=float, default=0.1, help="seconds a variant (default 0.1)")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def restart_with_tuned_allocator():
    """Keeps freed pages with the process: glibc would give them back to the kernel and fault them
    in again at every step, which slows large batches. It reads its settings once, at the start."""
    settings = {
        "MALLOC_TRIM_THRESHOLD_": str(1 << 36),
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TOP_PAD_": str(1 << 28),
    }
    if not settings.keys() <= os.environ.keys():
        os.environ.update(settings)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def main():
    arguments = parse_arguments()
    restart_with_tuned_allocator()
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[library + "_NUM_THREADS"] = str(arguments.threads)
    try:
        import torch
    except ImportError:
        print(
            f"peers: {sys.executable} has no PyTorch. Install it (apt-get install python3-torch, "
            "or pip install torch), or run this with a Python that has it.",
            file=sys.stderr,
        )
        return 3
    torch.set_num_threads(arguments.threads)

    sys.dont_write_bytecode = True  # the checkout stays as it is
    import fashion
    import gate_cases
    import layer
    import movielens
    import synthetic
    from timing import Bench

    print(json.dumps({"pytorch": torch.__version__, "threads": arguments.threads}), flush=True)
    bench = Bench(arguments.filter, arguments.budget, arguments.threads)
    for module in (gate_cases, layer, movielens, synthetic, fashion):
        module.run(bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
