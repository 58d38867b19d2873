#!/usr/bin/python3
"""Draws what was measured, as SVG (or PNG, by the name's ending). Needs Debian's
python3-matplotlib, and so Debian's python3.

Usage: draw_curves.py curve DIR PICTURE           best score against iterations, of evolution_curve.py
       draw_curves.py tree DIR STRATEGY PICTURE   who descends from whom in its first repeat
       draw_curves.py simulation FILE PICTURE     of strategies_sim FILE
"""
import json
import os
import sys

import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import evolution_outcome as outcome  # noqa: E402

# Okabe and Ito's colours, which those who see fewer of them tell apart too; lines and marks differ
# as well.
STYLES = {
    "best": ("#D55E00", "-", "o"), "archive-sampling": ("#0072B2", "--", "s"),
    "seed": ("#009E73", "-.", "^"), "afresh": ("#000000", ":", "D"),
    "random": ("#CC79A7", (0, (5, 1, 1, 1, 1, 1)), "v"), "chain": ("#E69F00", (0, (1, 1)), "P"),
    "islands": ("#56B4E9", (0, (3, 2)), "X"), "pareto": ("#000000", (0, (6, 2, 1, 2)), "*"),
    "clade-thompson": ("#7A4B00", "-", "d"),
    "clade-thompson,expand=1": ("#7A4B00", (0, (2, 2)), "h"),
}
NAMES = {"seed": "random search: changes of the seed", "afresh": "random search: drawn afresh"}
BEST_KNOWN = 2.635  # of 26 circles in the unit square, in the literature, about
BOTTOMS = {"valleys": -110}  # the steep rise of the first births is left out
SIMULATED = ("best", "clade-thompson", "clade-thompson,expand=1", "archive-sampling", "pareto",
             "islands", "random", "seed", "chain")


def save(figure, place):
    """The same data give the same bytes."""
    matplotlib.rcParams["svg.hashsalt"] = "germline"
    dated = {"metadata": {"Date": None}} if place.endswith(".svg") else {"dpi": 110}
    figure.savefig(place, bbox_inches="tight", facecolor="white", **dated)
    pyplot.close(figure)
    if place.endswith(".svg"):  # matplotlib leaves spaces at the ends of lines
        with open(place, encoding="utf-8") as file:
            lines = [line.rstrip() for line in file]
        with open(place, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


def band(axes, at, curves, strategy, label):
    """Median and quartiles of the curves, at those places of each."""
    colour, line, mark = STYLES[strategy]
    low, middle, high = zip(*(outcome.quartiles([curve[i] for curve in curves]) for i in at))
    axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(at, middle, color=colour, linestyle=line, marker=mark, markersize=4.5,
              markevery=max(1, len(at) // 8), linewidth=1.8, label=label)


def plain(axes):
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw_curve(folder, place):
    runs = outcome.read(folder)
    figure, axes = pyplot.subplots(figsize=(8, 4.6))
    for strategy in STYLES:
        curves = [outcome.curve(run) for run in runs if run["strategy"] == strategy]
        if curves:
            band(axes, range(len(curves[0])), curves, strategy,
                 f"{NAMES.get(strategy, strategy)} (n = {len(curves)})")
    axes.axhline(BEST_KNOWN, color="#666666", linewidth=1)
    axes.annotate("best known packing, about 2.635", (0, BEST_KNOWN), xytext=(2, -4),
                  textcoords="offset points", va="top", fontsize=9, color="#444444")
    axes.set_xlabel("iterations ended, of all lineages of the run")
    axes.set_ylabel("best score so far: sum of 26 radii\n(median, quartiles shaded)")
    axes.set_xlim(left=0)
    plain(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncol=2, frameon=False)
    save(figure, place)


def draw_tree(folder, strategy, place):
    run = next((run for run in outcome.read(folder)
                if (run["strategy"], run["repeat"]) == (strategy, 1)), None)
    if run is None:
        sys.exit(f"{folder} has no first repeat of {strategy}")
    figure, axes = pyplot.subplots(figsize=(8, 4.6))
    scores = {0: run["seed_score"]}
    looks = [STYLES[name] for name in ("best", "archive-sampling", "seed", "random")]
    axes.plot([0], [scores[0]], color="#000000", marker="*", markersize=12, linestyle="none",
              label="seed", zorder=3)
    for number, each in enumerate(run["iterations"], 1):
        if each["score"] is None:
            continue
        scores[number] = each["score"]
        axes.plot([each["parent"], number], [scores[each["parent"]], each["score"]],
                  color="#999999", linewidth=0.9, zorder=1)
    for lineage in range(1, run["lineages"] + 1):
        colour, _, mark = looks[(lineage - 1) % len(looks)]
        born = [(number, each["score"]) for number, each in enumerate(run["iterations"], 1)
                if each["lineage"] == lineage and each["score"] is not None]
        if born:
            axes.plot(*zip(*born), color=colour, marker=mark, linestyle="none", zorder=2,
                      label=f"born in lineage {lineage}")
    bare = [number for number, each in enumerate(run["iterations"], 1) if each["score"] is None]
    if bare:
        axes.plot(bare, [run["seed_score"]] * len(bare), color="#444444", marker="x",
                  linestyle="none", label="bore nothing", clip_on=False)
    if run["kill"]:
        axes.axvline(run["kill"]["ended"] + 0.5, color="#444444", linestyle="--", linewidth=1,
                     label="kill -9 of everything, restart")
    axes.set_xlabel("iterations, in the order in which they ended")
    axes.set_ylabel("score: sum of 26 radii")
    plain(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncol=3, frameon=False)
    save(figure, place)


def draw_simulation(data, place):
    lands = {}
    with open(data, encoding="utf-8") as file:
        for line in file:
            run = json.loads(line)
            lands.setdefault(run["landscape"], {}).setdefault(run["strategy"], []).append(
                run["first"])
    figure, all_axes = pyplot.subplots(1, len(lands), figsize=(4 * len(lands), 4.2), squeeze=False)
    seeds = 0
    for axes, (land, strategies) in zip(all_axes[0], lands.items()):
        for strategy in SIMULATED:
            curves = strategies[strategy]
            seeds = len(curves)
            band(axes, range(0, len(curves[0]), 10), curves, strategy, strategy)
        axes.set_title(land, fontsize=11)
        if land in BOTTOMS:
            axes.set_ylim(bottom=BOTTOMS[land])
            axes.set_title(f"{land} (the seed is at {curves[0][0]:.0f})", fontsize=11)
        axes.set_xlabel("births, of all lineages")
        axes.set_xlim(0, len(curves[0]) - 1)
        plain(axes)
    all_axes[0][0].set_ylabel("true value of what ranks first; 0: the top\n"
                              f"(median of {seeds} seeds, quartiles shaded)")
    figure.tight_layout()
    handles, labels = all_axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=len(labels),
                  frameon=False)
    save(figure, place)


def main():
    commands = {"curve": (draw_curve, 2), "tree": (draw_tree, 3), "simulation": (draw_simulation, 2)}
    drawn, count = commands.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, 0))
    if drawn is None or len(sys.argv) != 2 + count:
        sys.exit(__doc__)
    drawn(*sys.argv[2:])


if __name__ == "__main__":
    main()
