#!/usr/bin/env python3
"""Soak: lineages evolve without an end while coordinator, worker, zygote and gateway are killed at
random moments. Afterwards the record, the branches and the contexts must agree, nothing may be lost
or doubled, and nothing of a sandbox be left.

Usage: soak_test.py GERMLINE_BINARY PRICES_FILE [--minutes M] [--random-seed N]. Needs root. What it
starts it ends, by pid. A failing run prints its random seed.
"""
import argparse
import json
import random
import sys
import time

from fleet import FleetApart, iterations_of, sandbox_pids

VICTIMS = ("coordinator", "worker", "zygote", "gateway")
LINEAGES = 2


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    return 0


def demand(holds, what):
    if not holds:
        raise AssertionError(what)


def done_by_lineage(tree):
    return {lineage["lineage_id"]: int(lineage["iterations_done"])
            for lineage in tree["run"]["lineages"]}


def busy(fleet):
    return any(worker["busy"] for worker in fleet.asked("ps", "--workers")["workers"])


def check_lineage(fleet, tree, lineage):
    """What the record, the branch and the context of a lineage say is one story."""
    name = lineage["lineage_id"]
    born = [g for g in tree["generations"] if g["lineage_id"] in ("", name)]
    ended = [i for i in iterations_of(tree)
             if i["lineage_id"] == name and i["ending"] != "ENDING_UNSPECIFIED"]
    told = json.dumps({"lineage": lineage, "born": born, "iterations": ended}, indent=1)
    demand(all(i["ending"] in ("ENDING_EVOLVED", "ENDING_FAILED") for i in ended), told)
    demand([int(g["number"]) for g in born] == list(range(len(born))), told)
    demand([int(g["depth"]) for g in born] == list(range(len(born))), told)
    demand(len(born) - 1 == sum(i["ending"] == "ENDING_EVOLVED" for i in ended), told)
    demand(all(sum(a["state"] == "ATTEMPT_STATE_FINISHED" for a in i["attempts"]) ==
               (i["ending"] == "ENDING_EVOLVED") for i in ended), told)
    branch = f"refs/heads/lineages/{name}"
    fleet.wait(lambda: fleet.objects("rev-parse", branch).strip() == lineage["head_commit"],
               "the branch follows the record")
    commits = fleet.objects("rev-list", "--first-parent", "--reverse", branch).split()
    since_seed = commits[commits.index(tree["run"]["seed_commit"]) + 1:]
    demand(since_seed == [i["commit"] for i in ended], told)
    history = json.loads(fleet.objects("show", branch + ":agent_context.json"))["history"]
    demand(sum(entry.get("summarizes", 1) for entry in history) == len(ended), told)
    return ended


def soak(fleet, given):
    chance = random.Random(given.random_seed)
    run = fleet.asked("run", fleet.genome(), "--iterations", "0", "--lineages",
                      str(LINEAGES))["run_id"]
    until = time.monotonic() + given.minutes * 60
    kills = dict.fromkeys(VICTIMS, 0)
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.2, 6))
        victim = chance.choice(VICTIMS)
        fleet.await_worker()
        fleet.kill_and_restart(victim)
        kills[victim] += 1
    fleet.await_worker()
    before = done_by_lineage(fleet.tree(run))
    fleet.wait(lambda: all(done > before[name] for name, done in
                           done_by_lineage(fleet.tree(run)).items()),
               "each lineage goes on after the last kill")
    for lineage in before:
        fleet.call("pause", lineage)
    # A live iteration ends; one that was not leased yet waits for a resume.
    fleet.wait(lambda: not sandbox_pids() and not busy(fleet), "the last iterations have ended")
    tree = fleet.tree(run)
    ended = [check_lineage(fleet, tree, lineage) for lineage in tree["run"]["lineages"]]
    demand(fleet.objects("fsck", "--connectivity-only", "--no-dangling") == "", "git fsck")
    iterations = [i for each in ended for i in each]
    demand(len(iterations) > 0, "no iteration ended")
    lost = sum(a["state"] == "ATTEMPT_STATE_LOST" for i in iterations for a in i["attempts"])
    failed = sum(i["ending"] == "ENDING_FAILED" for i in iterations)
    print(f"{sum(kills.values())} kills {kills}; {len(iterations)} iterations ended, {failed} of "
          f"them failed after three lost attempts; {lost} attempts lost; resident: coordinator "
          f"{resident_mib(fleet.processes['coordinator'].pid)} MiB, node "
          f"{resident_mib(fleet.processes['worker'].pid)} MiB")


def main():
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("germline")
    reader.add_argument("prices")
    reader.add_argument("--minutes", type=float, default=0.6)
    reader.add_argument("--random-seed", type=int, default=time.time_ns() % 1_000_000)
    given = reader.parse_args()
    print(f"random seed {given.random_seed}", flush=True)
    fleet = FleetApart(given.germline)
    try:
        fleet.use_gateway(given.prices)
        fleet.start()
        soak(fleet, given)
    except AssertionError as failed:
        print(failed, file=sys.stderr)
        print(f"soak failed; random seed {given.random_seed}", file=sys.stderr)
        return 1
    finally:
        fleet.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
