#!/usr/bin/env python3
"""What came of evolution_curve.py's runs: reads its data, and computes curves, quartiles and the
Mann-Whitney test. Needs nothing but Python.

Usage: evolution_outcome.py DIR. Prints the tables of docs/evolution.md.
"""
import itertools
import json
import math
import os
import sys

DATA = "runs.jsonl"
EVOLUTION = ("best", "archive-sampling")
PEERS = ("seed", "afresh")  # random search, in two ways
COMBINATIONS_MAX = 200_000


def read(folder):
    """The runs of the folder, in the order of strategy and repeat."""
    place = os.path.join(folder, DATA)
    if not os.path.exists(place):
        return []
    with open(place, encoding="utf-8") as file:
        runs = [json.loads(line) for line in file]
    order = EVOLUTION + PEERS
    return sorted(runs, key=lambda run: (order.index(run["strategy"]), run["repeat"]))


def curve(run):
    """The best score after 0, 1, 2 ... iterations. One that bore nothing counts as well."""
    scores = [run["seed_score"]] + [each["score"] for each in run["iterations"]]
    return list(itertools.accumulate((-math.inf if score is None else score for score in scores),
                                     max))


def quantile(values, part):
    """Between the two nearest of the sorted values, as numpy and spreadsheets have it."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def quartiles(values):
    return tuple(quantile(values, part) for part in (0.25, 0.5, 0.75))


def mann_whitney(larger, smaller):
    """U of the first sample, and the exact probability of one as large or larger, were both drawn
    alike: over all ways to deal the values out. Equal values count as half."""
    values = list(larger) + list(smaller)
    ways = math.comb(len(values), len(larger))
    if ways > COMBINATIONS_MAX:
        raise ValueError(f"{ways} ways to deal {len(values)} values out are too many")

    def statistic(chosen):
        others = [values[i] for i in range(len(values)) if i not in chosen]
        return sum((values[i] > other) + (values[i] == other) / 2 for i in chosen
                   for other in others)
    observed = statistic(set(range(len(larger))))
    as_large = sum(statistic(set(chosen)) >= observed
                   for chosen in itertools.combinations(range(len(values)), len(larger)))
    return observed, as_large / ways


def finals(runs):
    """Of each strategy that has runs the best score of each at its end."""
    found = {}
    for run in runs:
        found.setdefault(run["strategy"], []).append(curve(run)[-1])
    return found


def evenly(count):
    """About four numbers of iterations, the last of them all."""
    return sorted({max(1, round(count * part / 4)) for part in (1, 2, 3, 4)})


def tables(runs):
    """Markdown: best score by iterations, endings, and the tests."""
    if not runs:
        return "no run has been recorded\n"
    reached = finals(runs)
    of = {name: [run for run in runs if run["strategy"] == name] for name in reached}
    at = evenly(len(runs[0]["iterations"]))
    lines = ["| strategy | runs | " + " | ".join(f"after {n}" for n in at) + " | lowest to highest |",
             "|---|---|" + "---|" * (len(at) + 1)]
    for name, each in of.items():
        curves = [curve(run) for run in each]
        cells = []
        for n in at:
            low, middle, high = quartiles([values[n] for values in curves])
            cells.append(f"{middle:.3f} ({low:.3f} to {high:.3f})")
        lines.append(f"| `{name}` | {len(each)} | " + " | ".join(cells) +
                     f" | {min(reached[name]):.3f} to {max(reached[name]):.3f} |")
    lines += ["", "| strategy | iterations | evolved | stalled | rejected | failed | depth of the best |",
              "|---|---|---|---|---|---|---|"]
    for name, each in of.items():
        endings = [one["ending"] for run in each for one in run["iterations"]]
        counts = [endings.count(ending) for ending in ("evolved", "stalled", "rejected", "failed")]
        depths = [depth_of_best(run) for run in each]
        lines.append(f"| `{name}` | {len(endings)} | " + " | ".join(map(str, counts)) +
                     f" | {min(depths)} to {max(depths)} |")
    lines += ["", "| final scores | U | of | p, one-sided, exact |", "|---|---|---|---|"]
    for name, peer in itertools.product(EVOLUTION, PEERS):
        if name in reached and peer in reached:
            u, p = mann_whitney(reached[name], reached[peer])
            lines.append(f"| `{name}` more than `{peer}` | {u:g} | "
                         f"{len(reached[name]) * len(reached[peer])} | {p:.2g} |")
    return "\n".join(lines) + "\n"


def depth_of_best(run):
    """How many births led from the seed to the best."""
    depth = {0: 0}
    best, found = run["seed_score"], 0
    for number, each in enumerate(run["iterations"], 1):
        if each["score"] is None:
            continue
        depth[number] = depth[each["parent"]] + 1
        if each["score"] > best:
            best, found = each["score"], depth[number]
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.write(tables(read(sys.argv[1])))
