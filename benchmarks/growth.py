#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws how the time of a gate grows with the number of experts, out of what compare.py saved.

    benchmarks/growth.py LINES PICTURE.png
"""

import argparse
import json
import statistics
import subprocess
from collections import defaultdict
from pathlib import Path

# Forward and backward of 128 features, k = 2: name, the cases, whose, colour, dash.
LINES = [
    ("softmax", dict(case="gate_fwdbwd_softmax"), "selgate", "#0072b2", 1),
    ("top-2", dict(case="gate_fwdbwd_topk", k=2), "selgate", "#d55e00", 1),
    ("DSelect-2, all weights written", dict(case="gate_fwdbwd_dselect", k=2), "selgate", "#009e73", 1),
    (
        "DSelect-2, list of the selected",
        dict(case="gate_sparse_fwdbwd_dselect", k=2, f=0),
        "selgate",
        "#cc79a7",
        1,
    ),
    ("softmax, PyTorch", dict(case="gate_fwdbwd_softmax"), "torch", "#0072b2", 2),
    ("top-2, PyTorch", dict(case="gate_fwdbwd_topk", k=2), "torch", "#d55e00", 2),
    ("DSelect-2, PyTorch", dict(case="gate_fwdbwd_dselect", k=2), "torch", "#009e73", 2),
]


def points(lines, wanted, side):
    """n -> microseconds an example: the median over the rounds of the fastest variant. Of the batch
    sizes up to 256 the largest."""
    rounds = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if not line.get("impl", "").startswith(side) or line.get("p") != 128 or line["B"] > 256:
            continue
        if all(line.get(key) == value for key, value in wanted.items()):
            rounds[line["n"], line["B"]][line["round"]].append(line["median_us"])
    times = {}
    for (n, batch), by_round in sorted(rounds.items()):
        times[n] = statistics.median(map(min, by_round.values())) / batch
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", type=Path, help="what compare.py --save wrote")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in arguments.lines.read_text().splitlines()]
    data, plots = [], []
    for name, wanted, side, color, dash in LINES:
        times = points(lines, wanted, side)
        data.append("\n".join(f"{n} {us}" for n, us in times.items()) + "\ne\n")
        plots.append(
            f"'-' using 1:2 with linespoints title '{name}' pointtype 7 pointsize 0.6 "
            f"linewidth 1.8 linecolor rgb '{color}' dashtype {dash}"
        )
    script = f"""
set terminal pngcairo size 900,620 font 'Sans,11'
set output '{arguments.picture}'
set logscale xy
set logscale x 2
set format x '2^{{%L}}'
set xlabel 'experts n'
set ylabel 'microseconds an example, forward and backward'
set grid ytics linecolor rgb '#e4e4e4' linetype 1
set border 3 linecolor rgb '#888888'
set tics nomirror
set key outside below maxrows 4
plot {", ".join(plots)}
"""
    subprocess.run(["gnuplot"], input=script + "".join(data), text=True, check=True)


if __name__ == "__main__":
    main()
