#!/usr/bin/env python3
"""Real evolution, without a paid model: the circle-packing genome under `germline up`, in sandboxes,
several times with each strategy, and beside it random search with as many iterations.

Usage: evolution_curve.py GERMLINE DIR [--repeats N] [--iterations N] [--lineages N] [--slots N]
       [--strategies NAME,...] [--kill-in REPEAT]

    best, archive-sampling   evolution
    seed                     random search: every iteration changes the seed
    afresh                   random search: every iteration draws a packing and changes that

In one repeat of each (--kill-in, 1; 0: none) everything is killed half way with SIGKILL and started
again; the run must go on and nothing may be lost. Each whole run is a line that is added to
DIR/runs.jsonl: started once more, the program goes on behind the last. The tree of each first run
is DIR/tree-STRATEGY.txt. Needs root. What it starts it ends, by pid.
"""
import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
import evolution_outcome as outcome  # noqa: E402
from fleet import Fleet, iterations_of, name_of, sandbox_pids  # noqa: E402

PRICES = os.path.join(HERE, "../../deploy/prices.json")
STRATEGIES = outcome.EVOLUTION + outcome.PEERS
RUN_SECONDS_MAX = 3600


class Broken(Exception):
    """The system did what it must not."""


def descendants(root):
    """The process and all that descends from it, parents first."""
    children = collections.defaultdict(list)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                children[int(stat.read().rpartition(")")[2].split()[1])].append(int(pid))
        except OSError:
            pass  # it has ended
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def identities(pids):
    """Those that have not ended, with when each began, since numbers are used again. What has ended
    may stand in /proc for ever: its parent was killed, and not every system's first process reaps
    what it is left."""
    found = set()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
            if fields[0] not in "ZX":
                found.add((pid, fields[19]))
        except OSError:
            pass
    return found


def kill_everything(fleet):
    """SIGKILL for `up` and all that descends from it. Returns the names of what was killed. Of a
    sandbox that was just being ended frozen processes may be left, for the next worker to end."""
    up = fleet.processes["up"]
    os.kill(up.pid, signal.SIGSTOP)  # so that it starts nothing anew meanwhile
    names = collections.Counter()
    for pid in descendants(up.pid):
        name = name_of(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            names[name] += 1
        except ProcessLookupError:
            pass  # ended by the end of its parent
    up.wait(30)
    return dict(names)


class Tree:
    """What the record says of a run at one moment."""

    def __init__(self, tree):
        self.tree = tree
        self.ended = sorted((each for each in iterations_of(tree)
                             if each["ending"] != "ENDING_UNSPECIFIED"),
                            key=lambda each: (int(each["ended_ms"]), each["item_id"]))
        self.live = len(iterations_of(tree)) - len(self.ended)
        self.generations = {each["generation_id"]: each for each in tree["generations"]}
        self.scores = {key: each["fitness"]["mean"] for key, each in self.generations.items()
                       if each["fitness"]["samples"]}
        self.measured = all(each["ending"] != "ENDING_UNSPECIFIED" for each in tree["evaluations"])

    def best(self):
        return max(self.scores.values(), default=float("-inf"))

    def lost_attempts(self):
        return sum(attempt["state"] == "ATTEMPT_STATE_LOST"
                   for each in iterations_of(self.tree) for attempt in each["attempts"])

    def must_hold(self, before):
        """Nothing that the record had said before is lost or otherwise now."""
        endings = {each["item_id"]: each["ending"] for each in self.ended}
        for each in before.ended:
            if endings.get(each["item_id"]) != each["ending"]:
                raise Broken(f"iteration {each['item_id']} ended {each['ending']}, and now "
                             f"{endings.get(each['item_id'])}")
        for key, old in before.generations.items():
            new = self.generations.get(key)
            if new is None or (new["commit"], new["parent"]) != (old["commit"], old["parent"]):
                raise Broken(f"generation {key} was {old} and is {new}")
        for key, score in before.scores.items():
            if self.scores.get(key) != score:
                raise Broken(f"{key} had {score} and has {self.scores.get(key)}")
        if self.best() < before.best():
            raise Broken(f"the best score fell from {before.best()} to {self.best()}")


class Experiment:
    def __init__(self, given):
        self.given = given
        self.fleet = Fleet(given.germline)
        self.fleet.use_gateway(PRICES)  # nobody asks it; it is there to be killed too

    def start(self):
        self.fleet.start("--slots", str(self.given.slots))

    def genome(self, strategy):
        place = self.fleet.example("circle-packing")
        if strategy != "afresh":
            return place
        with open(place + "/src/__main__.py", encoding="utf-8") as file:
            text = file.read()
        if text.count("\nAFRESH = False\n") != 1:
            raise Broken("the genome has no line AFRESH = False")
        self.fleet.write(place, "src/__main__.py",
                         text.replace("\nAFRESH = False\n", "\nAFRESH = True\n"))
        self.fleet.commit(place, "random search")
        return place

    def until(self, run, holds, seen):
        """Waits until it holds of the tree; the best score never falls meanwhile."""
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while time.monotonic() < deadline:
            tree = self.fleet.tree(run)
            if tree is not None:
                now = Tree(tree)
                if seen is not None:
                    now.must_hold(seen)
                seen = now
                if tree["run"]["found_state"] == "refused":
                    raise Broken(f"the seed is refused: {tree['run']['found_details']}")
                if holds(now):
                    return now
            time.sleep(1)
        raise Broken(f"{run} did not end\n{self.fleet.logs()}")

    def kill_half_way(self, run, wanted):
        """Returns the tree of just before, and what there is to tell of it."""
        before = self.until(run, lambda now: len(now.ended) >= wanted // 2 and now.live > 0, None)
        names = kill_everything(self.fleet)
        former = identities(sandbox_pids())
        began = time.monotonic()
        self.start()
        if former & identities(sandbox_pids()):  # the worker ends them before it joins
            raise Broken(f"of the sandboxes that were killed there still are {former}")
        return before, {"ended": len(before.ended), "best": before.best(), "killed": names,
                        "ready_s": round(time.monotonic() - began, 1)}

    def run(self, strategy, repeat):
        given, fleet = self.given, self.fleet
        wanted = given.lineages * given.iterations
        seed = 1000 * repeat + STRATEGIES.index(strategy)
        began = time.monotonic()
        run = fleet.run(self.genome(strategy), given.iterations, "--lineages", str(given.lineages),
                        "--strategy", "seed" if strategy == "afresh" else strategy,
                        "--random-seed", str(seed))
        before, kill = None, None
        if repeat == given.kill_in:
            before, kill = self.kill_half_way(run, wanted)
        last = self.until(run, lambda now: len(now.ended) >= wanted and now.live == 0 and
                          now.measured, before)
        self.budget_is_kept(last)
        if kill is not None:
            kill["lost_attempts"] = last.lost_attempts()
            self.objects_are_whole()
        if repeat == 1:
            with open(f"{given.folder}/tree-{strategy}.txt", "w", encoding="utf-8") as file:
                file.write(fleet.call("tree", run).stdout)
        return {"strategy": strategy, "repeat": repeat, "random_seed": seed,
                "lineages": given.lineages, "each": given.iterations, "slots": given.slots,
                "seconds": round(time.monotonic() - began), **self.story(last), "kill": kill}

    def budget_is_kept(self, last):
        made = collections.Counter(each["lineage_id"] for each in last.ended)
        of_lineages = [made[each["lineage_id"]] for each in last.tree["run"]["lineages"]]
        if of_lineages != [self.given.iterations] * self.given.lineages:
            raise Broken(f"the lineages made {of_lineages} iterations")

    def objects_are_whole(self):
        place = self.fleet.state + "/coordinator/objects.git"
        done = subprocess.run(["git", "-c", "safe.directory=*", "-C", place, "fsck",
                               "--connectivity-only", "--no-dangling"], check=False,
                              capture_output=True, text=True)
        if done.returncode != 0 or done.stdout:
            raise Broken(f"git fsck: {done.stdout}{done.stderr}")

    @staticmethod
    def story(last):
        """Iterations in the order in which they ended; parents by the number of the iteration that
        bore them, 0: the seed."""
        numbers = {each["generation_id"]: number for number, each in enumerate(last.ended, 1)
                   if each["generation_id"]}
        seed = next(key for key, each in last.generations.items() if not each["parent"])
        numbers[seed] = 0
        lineages = [each["lineage_id"] for each in last.tree["run"]["lineages"]]
        return {"seed_score": last.scores[seed], "iterations": [
            {"lineage": lineages.index(each["lineage_id"]) + 1,
             "ending": each["ending"].removeprefix("ENDING_").lower(), "reason": each["reason"],
             "parent": numbers[each["parent_generation"]],
             "score": last.scores.get(each["generation_id"])} for each in last.ended]}


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("germline")
    parser.add_argument("folder")
    for name, default in (("repeats", 6), ("iterations", 12), ("lineages", 2), ("slots", 2),
                          ("kill-in", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    given = parser.parse_args()
    given.strategies = given.strategies.split(",")
    for name in given.strategies:
        if name not in STRATEGIES:
            parser.error(f"{name} is none of {', '.join(STRATEGIES)}")
    return given


def main():
    given = arguments()
    os.makedirs(given.folder, exist_ok=True)
    there = outcome.read(given.folder)
    for run in there:
        if (run["lineages"], run["each"]) != (given.lineages, given.iterations):
            sys.exit(f"{given.folder} has runs of {run['lineages']} lineages of {run['each']} "
                     "iterations: take another folder")
    done = {(run["strategy"], run["repeat"]) for run in there}
    # A repeat of each strategy, then the next: whenever it ends, all have been treated alike.
    wanted = [(strategy, repeat) for repeat in range(1, given.repeats + 1)
              for strategy in given.strategies if (strategy, repeat) not in done]
    experiment = Experiment(given)
    try:
        if wanted:
            experiment.start()
        for strategy, repeat in wanted:
            run = experiment.run(strategy, repeat)
            with open(os.path.join(given.folder, outcome.DATA), "a", encoding="utf-8") as file:
                file.write(json.dumps(run, separators=(",", ":")) + "\n")
            killed = "" if run["kill"] is None else (
                f"; all was killed after {run['kill']['ended']}, attempts lost: "
                f"{run['kill']['lost_attempts']}, nothing else")
            print(f"{strategy} {repeat}: {run['seed_score']:.4f} to {outcome.curve(run)[-1]:.4f} in "
                  f"{len(run['iterations'])} iterations, {run['seconds']} s{killed}", flush=True)
    finally:
        experiment.fleet.stop()
    sys.stdout.write("\n" + outcome.tables(outcome.read(given.folder)))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
