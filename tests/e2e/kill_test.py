#!/usr/bin/env python3
"""`germline kill` in each state of an iteration: proof at once, and nothing of it is left or born.

Usage: kill_test.py GERMLINE_BINARY. Needs root. What it starts it ends, by pid.
"""
import json
import os
import signal
import sys
import time
import unittest

from fleet import STATES, FleetApart, children, iterations_of, name_of, sandbox_pids

GERMLINE = sys.argv.pop(1)


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Kills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        fleet = cls.fleet = FleetApart(GERMLINE)
        cls.addClassCleanup(fleet.stop)
        fleet.start()

    def is_killed(self, state):
        fleet = self.fleet
        run, lineage = fleet.run_until(state)
        started = time.monotonic()
        killed = fleet.asked("kill", lineage)
        took = time.monotonic() - started
        self.assertEqual(sandbox_pids(), [], fleet.logs())
        proofs = [line["proof"] for line in killed["lineages"]]
        print(f"  killed while {state}: {proofs[0]} in {1000 * took:.0f} ms", flush=True)
        tree = fleet.tree(run)
        story = json.dumps(tree, indent=1) + fleet.logs()
        born = tree["generations"]
        if state == "reporting" and len(born) == 2:  # its result was recorded just before
            self.assertIn(proofs, (["KILL_PROOF_KILLED"], ["KILL_PROOF_NOTHING_RAN"]), story)
        else:
            self.assertEqual(proofs, ["KILL_PROOF_KILLED"], story)
            self.assertEqual(len(born), 1, story)
            first = iterations_of(tree)[0]
            self.assertEqual(first["ending"], "ENDING_KILLED", story)
            self.assertEqual([a["state"] for a in first["attempts"]], ["ATTEMPT_STATE_KILLED"])
        branch = f"refs/heads/lineages/{lineage}"
        self.assertEqual(fleet.objects("rev-parse", branch).strip(), born[-1]["commit"], story)
        self.leaves_nothing(tree)

    def leaves_nothing(self, tree):
        """The worker takes the next run at once; of the killed one it keeps no artefact beyond
        those of what was born, nor does the coordinator, which has no pack of it either."""
        fleet = self.fleet
        _, ended = fleet.settled(fleet.run(fleet.genome()), 1)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED", fleet.logs())
        stored = fleet.state + "/coordinator/artefacts"
        kept = fleet.state + "/worker/exports/artefacts"
        born = {g["artefact_id"] for run in fleet.asked("ps", "--json")["runs"]
                for g in fleet.tree(run["run_id"])["generations"]}
        fleet.wait(lambda: os.listdir(fleet.state + "/coordinator/incoming") == [],
                   "no pack waits", 20)
        self.assertLessEqual({name.split(".")[0] for name in os.listdir(stored)}, born)
        self.assertLessEqual({name.split(".")[0] for name in os.listdir(kept)}, born)


class WithoutProof(unittest.TestCase):
    """A sandbox that nobody can end, since supervisor and zygote are both stopped."""

    def test_it_is_told_and_a_new_worker_brings_the_proof(self):
        fleet = FleetApart(GERMLINE)
        self.addCleanup(fleet.stop)
        fleet.environment["GERMLINE_KILL_WAIT_S"] = "3"
        fleet.start()
        run = fleet.run(fleet.genome("evolve", "agent 15\n"))
        fleet.wait(lambda: any(i["phase"] == "ITERATION_PHASE_RUNNING"
                               for i in iterations_of(fleet.tree(run))), "the agent runs", 90)
        stopped = fleet.supervisors()
        self.assertEqual(len(stopped), 1)
        stopped += [pid for pid in children(fleet.processes["worker"].pid)
                    if name_of(pid) == "germline-zygote"[:15]]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
            self.addCleanup(end, pid)
        started = time.monotonic()
        killed = fleet.call("kill", run, check=False)
        self.assertLess(time.monotonic() - started, 6)
        self.assertEqual(killed.returncode, 6, killed.stderr)
        self.assertIn("no proof", killed.stdout)
        self.assertIn("germline kill lin_", killed.stderr)
        self.assertTrue(sandbox_pids())
        fleet.kill_and_restart("worker")
        fleet.wait(lambda: has_ended(stopped[-1]), "the stopped zygote dies with its worker", 5)
        fleet.wait(lambda: fleet.call("kill", run, check=False).returncode == 0,
                   "the new worker brings the proof", 60)
        # A dead init that its stopped supervisor cannot reap is all that may be left.
        self.assertEqual([pid for pid in sandbox_pids() if not has_ended(pid)], [])


for each in STATES:
    setattr(Kills, f"test_while_{each}", lambda self, state=each: self.is_killed(state))

if __name__ == "__main__":
    unittest.main(verbosity=2)
