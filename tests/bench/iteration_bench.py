#!/usr/bin/env python3
"""What an iteration costs beside what its agent, build, tests and evaluator do: a genome in which
they do nothing (genomes/idle) under `germline up`, in real sandboxes, with one slot and with two.
Each iteration still bears a generation, which is measured. Beside it, in the same run, the floor:
the same commands one after the other, without sandboxes and without Germline.

Usage: iteration_bench.py GERMLINE [--iterations N]    (40 of each lineage; a lineage a slot)

Needs root. What it starts it ends, by pid.
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from fleet import Fleet, iterations_of  # noqa: E402

GENOME = os.path.join(HERE, "genomes/idle")
SLOTS = (1, 2)
RUN_SECONDS_MAX = 1800

# Each begins with a mark in the record, and lasts until the next: of the item, its attempt, and the
# steps that the worker reports.
ITERATION = {"queued": "waits for a lease", "leased": "is on its way to the worker",
             "prepare": "preparing: objects, artefact, sandbox, clone",
             "agent": "running: the agent",
             "import": "importing: its commit, its push, the importer's sandbox", "build and tests": "sandbox, clone, build, tests",
             "protected tests": "the same for the protected tests",
             "probation": "the same for the probation",
             "result": "reporting: transfers, the result",
             "ended": "until the lineage's next is recorded"}
# Of an evaluation the steps are not told.
EVALUATION = {"queued": "waits for a lease",
              "leased": "clone, two sandboxes, evaluator and candidate, reporting"}


def quantile(values, part):
    return sorted(values)[round((len(values) - 1) * part)]


def in_numbers(values):
    return f"{quantile(values, 0.5):.0f} | {quantile(values, 0.9):.0f}"


def git(place, *words):
    subprocess.run(["git", "-C", place, "-c", "user.name=t", "-c", "user.email=t@t", *words],
                   check=True, capture_output=True)


def new_repository(place):
    shutil.copytree(GENOME, place)
    git(place, "init", "-q", "--initial-branch=lineage")
    Fleet.commit(place, "seed")
    return place


class Measured:
    """What the record says of a run that is over: for each phase its milliseconds, an item each."""

    def __init__(self, tree, events):
        self.steps = {}  # by attempt: when each began, and the order
        for event in events:
            progress = event.get("progress")
            if progress and progress["status"] == "started":
                began = self.steps.setdefault(progress["attempt_id"], {})
                began.setdefault(progress["step"], int(progress["time_ms"]))
        iterations, evaluations = iterations_of(tree), tree["evaluations"]
        for each in iterations:
            if each["ending"] != "ENDING_EVOLVED":
                raise AssertionError(f"an iteration ended otherwise: {each}")
        for each in evaluations:
            if each["ending"] != "ENDING_SCORED":
                raise AssertionError(f"an evaluation ended otherwise: {each}")
        # Of the seed nothing is counted.
        seed = next(each["generation_id"] for each in tree["generations"] if not each["parent"])
        evaluations = [each for each in evaluations if each["parent_generation"] != seed]
        self.recorded = self.next_recorded(iterations)
        self.iteration = self.phases(iterations, ITERATION)
        self.evaluation = self.phases(evaluations, EVALUATION)
        everything = iterations + evaluations
        self.wall_ms = (max(int(each["ended_ms"]) for each in everything) -
                        min(int(each["started_ms"]) for each in everything))
        self.a_minute = 60_000 * len(iterations) / self.wall_ms

    @staticmethod
    def next_recorded(iterations):
        """By item: when the next one of its lineage was."""
        latest, out = {}, {}
        for each in sorted(iterations, key=lambda each: int(each["started_ms"])):
            if each["lineage_id"] in latest:
                out[latest[each["lineage_id"]]] = int(each["started_ms"])
            latest[each["lineage_id"]] = each["item_id"]
        return out

    def phases(self, items, names):
        spent = {name: [] for name in list(names) + ["in a slot"]}
        for item in items:
            attempt, = item["attempts"]
            marks = {"queued": int(item["started_ms"]), "leased": int(attempt["leased_ms"]),
                     **self.steps.get(attempt["attempt_id"], {})}
            ended = int(item["ended_ms"])
            if set(marks) != set(names) - {"ended"}:
                raise AssertionError(f"the record tells of {sorted(marks)}")
            times = [marks[name] for name in names if name != "ended"] + [ended]
            for name, began, until in zip(names, times, times[1:]):
                spent[name].append(until - began)
            if item["item_id"] in self.recorded and "ended" in names:
                spent["ended"].append(self.recorded[item["item_id"]] - ended)
            spent["in a slot"].append(ended - marks["leased"])
        return spent


def germline(binary, slots, iterations):
    fleet = Fleet(binary)
    try:
        fleet.start("--slots", str(slots))
        run = fleet.run(new_repository(os.path.join(fleet.root, "genome")), iterations,
                        "--lineages", str(slots))

        def is_over():
            tree = fleet.tree(run)
            if tree is None:
                return None
            items = iterations_of(tree) + tree["evaluations"]
            live = any(each["ending"] == "ENDING_UNSPECIFIED" for each in items)
            refused = tree["run"]["found_state"] == "refused"
            whole = len(iterations_of(tree)) >= slots * iterations and not live
            return tree if whole or refused else None
        tree = fleet.wait(is_over, "the run is over", RUN_SECONDS_MAX, every=2)
        logs = fleet.call("logs", run, "--json").stdout
        return Measured(tree, [json.loads(line) for line in logs.splitlines()])
    finally:
        fleet.stop()


class Floor:
    """One after the other what an iteration's commands come to by themselves. Nothing checks what
    the agent made, and no part is kept from another."""

    STEPS = ("clone", "agent", "commit and push", "build", "test", "protected tests", "evaluation")

    def __init__(self, root):
        os.mkdir(root)
        self.root = root
        self.seed = new_repository(os.path.join(root, "seed"))
        self.origin = os.path.join(root, "origin.git")
        subprocess.run(["git", "clone", "-q", "--bare", self.seed, self.origin], check=True)
        subprocess.run(["sh", "build.sh"], cwd=self.seed, check=True)
        self.artefact = os.path.join(self.seed, "build")
        self.spent = {name: [] for name in self.STEPS}
        self.whole_ms = []

    def iterate(self, number):
        clone = os.path.join(self.root, f"clone-{number}")
        environment = {**os.environ, "GERMLINE_SCORE_FD": "3", "GERMLINE_REPORT_FD": "3"}

        def shell(command, cwd):
            subprocess.run(["sh", "-c", command], cwd=cwd, check=True, env=environment)
        report = os.path.join(self.root, "report")
        steps = (
            lambda: subprocess.run(["git", "clone", "-q", self.origin, clone], check=True),
            lambda: subprocess.run([self.artefact + "/agent"], cwd=clone, check=True),
            lambda: shell("git add -A && git -c user.name=t -c user.email=t@t commit -q -m next && "
                          "git push -q origin HEAD:lineage", clone),
            lambda: shell("sh build.sh", clone),
            lambda: shell("sh test.sh", clone),
            lambda: shell(f"exec 3>{report}; exec protected/run", self.seed),
            lambda: shell(f"exec 3>{report}; {clone}/build/agent solve < /dev/null | "
                          "protected/evaluate", self.seed))
        began = first = time.monotonic()
        for name, step in zip(self.STEPS, steps):
            step()
            now = time.monotonic()
            self.spent[name].append((now - began) * 1e3)
            began = now
        self.whole_ms.append((began - first) * 1e3)
        self.artefact = clone + "/build"


def floor(workers, iterations):
    """As many beside each other, each by itself. The first one's times, and iterations a minute."""
    # In memory, as the workspaces of sandboxes are.
    with tempfile.TemporaryDirectory(prefix="germline-floor-", dir="/dev/shm") as root:
        places = [Floor(os.path.join(root, str(number))) for number in range(workers)]

        def work(place):
            for number in range(iterations):
                place.iterate(number)
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for done in [pool.submit(work, place) for place in places]:
                done.result()
        return places[0], 60 * workers * iterations / (time.monotonic() - began)


def table(title, names, columns):
    print(f"\n| {title} | " + " | ".join(
        f"{slots} slot{'s' * (slots > 1)}: median | p90" for slots in columns) + " |")
    print("|---" * (1 + 2 * len(columns)) + "|")
    for key, name in names.items():
        print(f"| {name} | " + " | ".join(in_numbers(each[key]) for each in columns.values()) + " |")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("germline")
    parser.add_argument("--iterations", type=int, default=40)
    given = parser.parse_args()
    measured, floors = {}, {}
    for slots in SLOTS:
        floors[slots] = floor(slots, given.iterations)
        measured[slots] = germline(given.germline, slots, given.iterations)
    table("an iteration, ms", {**ITERATION, "in a slot": "**from lease to end**"},
          {slots: each.iteration for slots, each in measured.items()})
    table("an evaluation, ms", {**EVALUATION, "in a slot": "**from lease to end**"},
          {slots: each.evaluation for slots, each in measured.items()})
    table("the floor, ms", {**{name: name for name in Floor.STEPS}, "whole": "**all of it**"},
          {slots: {**place.spent, "whole": place.whole_ms}
           for slots, (place, _) in floors.items()})
    print("\n| | " + " | ".join(f"{slots} slot{'s' * (slots > 1)}" for slots in SLOTS) + " |")
    print("|---" * (1 + len(SLOTS)) + "|")
    for name, number in (
            ("iterations a minute", lambda slots: measured[slots].a_minute),
            ("of the floor", lambda slots: floors[slots][1]),
            ("the floor to Germline", lambda slots: floors[slots][1] / measured[slots].a_minute)):
        print(f"| {name} | " + " | ".join(f"{number(slots):.1f}" for slots in SLOTS) + " |")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
