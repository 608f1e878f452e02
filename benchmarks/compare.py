#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""selgate beside PyTorch on this machine: runs both in turn, and prints the ratio of each case.

    benchmarks/compare.py PROGRAM [--rounds 3] [--filter REGEX]... [--markdown]

PROGRAM is selgate-benchmarks. Machines drift by more than the differences that matter,
so the cases are taken family by family, each round runs PyTorch's and ours one after the other, and
only the ratio within a round counts: its median, least and greatest over the rounds. On either side
the fastest variant counts. Run it as `nice -n -10` on a machine with other work to do.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

FAMILIES = [
    "^gate_.*_softmax",
    "^gate_.*_topk",
    "^gate_.*_dselect|^regularizer",
    "^layer_topk",
    "^movielens_train|^movielens_gemm|^movielens_by_hand",
    "^movielens_infer|^movielens_read",
    "^synthetic",
    "^fashion",
]
NOT_SETTINGS = {"impl", "threads", "median_us", "flops", "experts"}

# Our own cases against each other: what is compared, one case, the other.
STEP = "movielens_train gate=dselect static=true B=128 dropout=none"
SOFTMAX_STEP = "movielens_train gate=softmax static=true B=128 dropout=none"
TWO = " experts=2"
ONE = "movielens_infer gate=dselect static=true B=1"
READ = "movielens_read experts={}"
GEMM = "movielens_gemm B=128 by={} experts={}"
GATE = "gate_sparse_fwdbwd_dselect n={} k=2 p=128 B=256 f={}"
MILLION = 1 << 20
IMAGES = "fashion_train gate=dselect static=true B=256"
OWN_RATIOS = [
    ("step of (a) / its matrix products by Eigen", STEP, GEMM.format("eigen", 8)),
    ("step of (a) / its matrix products by selgate", STEP, GEMM.format("selgate", 8)),
    ("on 2 experts / its matrix products by Eigen", STEP + TWO, GEMM.format("eigen", 2)),
    ("on 2 experts / its matrix products by selgate", STEP + TWO, GEMM.format("selgate", 2)),
    ("matrix products of (a), selgate / Eigen", GEMM.format("selgate", 8), GEMM.format("eigen", 8)),
    ("step of (a) on 2 experts / on all 8", STEP + TWO, STEP),
    ("step of (a) with static softmax / by hand", SOFTMAX_STEP, "movielens_by_hand B=128"),
    ("inference of one example / reading its weights", ONE, READ.format(8)),
    ("on 2 experts / reading their weights", ONE + TWO, READ.format(2)),
    ("step of (a), 2 threads / 1", STEP.replace(" dropout", " executor=2 dropout"), STEP),
    ("step of (c), 2 threads / 1", IMAGES + " executor=2", IMAGES),
    ("step of (c) on 2 experts / on all 8", IMAGES + TWO, IMAGES),
    ("sparse gate, 2^20 experts / 64, binary", GATE.format(MILLION, 0), GATE.format(64, 0)),
    ("sparse gate, 2^20 experts / 64, 2 bits", GATE.format(MILLION, 2), GATE.format(64, 2)),
    ("regularizer, 2^20 experts / 8", f"regularizer n={MILLION}", "regularizer n=8"),
]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="path of selgate-benchmarks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--filter", action="append", help="regular expression; may be repeated")
    parser.add_argument("--budget", type=float, default=0.1, help="seconds a PyTorch variant")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--save", type=Path, help="file to write every measured line to, for growth.py")
    return parser.parse_args()


def lines_of(command):
    """The JSON lines that a command prints. Its messages pass through."""
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode == 3:
        sys.exit(3)  # no PyTorch, and the peers have said so
    return [json.loads(line) for line in result.stdout.splitlines()]


def text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def case_of(line, with_experts):
    """A line's case with its settings, in one text. Any dropout that is on counts as the same
    setting, and gathering the examples of each expert is a case apart."""
    settings = {key: value for key, value in line.items() if key not in NOT_SETTINGS}
    if settings.get("dropout", "none") != "none":
        settings["dropout"] = "on"
    parts = [settings.pop("case")] + [f"{key}={text(value)}" for key, value in settings.items()]
    if "conditional" in line.get("impl", ""):
        parts.append("gathered")
    if with_experts and "experts" in line:
        parts.append(f"experts={line['experts']}")
    return " ".join(parts)


class Times:
    """The times of one side: case -> round -> variant -> microseconds."""

    def __init__(self, with_experts):
        self.with_experts = with_experts
        self.cases = defaultdict(lambda: defaultdict(dict))
        self.peer_of = {}
        self.version = ""

    def add(self, round_number, lines):
        for line in lines:
            if "median_us" not in line:
                self.version = line.get("pytorch", self.version)
                continue
            dropout = line.get("dropout", "none")
            variant = line["impl"] if dropout == "none" else f"{line['impl']} {dropout}"
            case = case_of(line, self.with_experts)
            self.cases[case][round_number][variant] = line["median_us"]
            self.peer_of[case] = case_of(line, False)

    def fastest(self, case):
        """Round -> the fastest variant's time."""
        return {r: min(variants.values()) for r, variants in self.cases.get(case, {}).items()}

    def best_variant(self, case):
        """The variant with the least median over the rounds."""
        by_variant = defaultdict(list)
        for variants in self.cases[case].values():
            for variant, time in variants.items():
                by_variant[variant].append(time)
        return min(by_variant, key=lambda v: statistics.median(by_variant[v]))


def spread(above, below):
    """Median, least and greatest ratio over the rounds that both have; None where there is none."""
    ratios = sorted(above[r] / below[r] for r in above.keys() & below.keys())
    return (statistics.median(ratios), ratios[0], ratios[-1]) if ratios else None


def measure(arguments, pytorch, ours):
    peers = Path(__file__).parent / "peers"
    saved = []
    for family in arguments.filter or FAMILIES:
        for r in range(arguments.rounds):
            print(f"{family}: round {r + 1} of {arguments.rounds}", file=sys.stderr)
            flags = ["--filter", family, "--budget", str(arguments.budget)]
            theirs = lines_of([arguments.python, peers, *flags])
            flags = ["--json_lines", f"--benchmark_filter={family}"]
            mine = lines_of([arguments.program, *flags])
            pytorch.add(r, theirs)
            ours.add(r, mine)
            saved += [line | {"round": r} for line in theirs + mine]
    if arguments.save:
        arguments.save.write_text("".join(json.dumps(line) + "\n" for line in saved))


def print_table(header, rows, markdown):
    if markdown:
        print("| " + " | ".join(header) + " |")
        print("|---|" + "--:|" * (len(header) - 1))
        for row in rows:
            print("| " + " | ".join(row) + " |")
    else:
        widths = [max(map(len, column)) for column in zip(header, *rows)]
        for row in [header, *rows]:
            cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
            print("  ".join(cells).rstrip())
    print()


def ratio_cells(ratio):
    return ["", ""] if ratio is None else [f"{ratio[0]:.2f}", f"{ratio[1]:.2f} .. {ratio[2]:.2f}"]


def microseconds(times):
    return f"{statistics.median(times.values()):.4g}" if times else ""


def main():
    arguments = parse_arguments()
    pytorch, ours = Times(with_experts=False), Times(with_experts=True)
    measure(arguments, pytorch, ours)

    print(f"PyTorch {pytorch.version}, microseconds, one thread, {arguments.rounds} rounds\n")
    rows = []
    for case in ours.cases:
        peer = ours.peer_of[case]
        theirs, mine = pytorch.fastest(peer), ours.fastest(case)
        variant = pytorch.best_variant(peer) if theirs else ""
        times = [microseconds(theirs), microseconds(mine)]
        rows.append([case, variant, *times, *ratio_cells(spread(theirs, mine))])
    header = ["case", "PyTorch's fastest", "PyTorch", "selgate", "ratio", "over rounds"]
    print_table(header, rows, arguments.markdown)

    rows = []
    for name, above, below in OWN_RATIOS:
        ratio = spread(ours.fastest(above), ours.fastest(below))
        if ratio:
            rows.append([name, *ratio_cells(ratio)])
    if rows:
        print_table(["our own cases", "ratio", "over rounds"], rows, arguments.markdown)


if __name__ == "__main__":
    main()
