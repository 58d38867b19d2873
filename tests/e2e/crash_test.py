#!/usr/bin/env python3
"""kill -9 of each of the product's processes, in each state of an iteration, and a restart: nothing
is lost, nothing happens twice, nothing of the sandbox is left.

Usage: crash_test.py GERMLINE_BINARY PRICES_FILE [--whole]. Needs root. What it starts it ends, by
pid. Without --whole, of those that end the worker with them, zygote and gateway, only some states
are tried: what comes of it is the worker's end, which is tried in all.
"""
import json
import os
import signal
import sys
import time
import unittest

from fleet import STATES, FleetApart, name_of, sandbox_pids

WHOLE = "--whole" in sys.argv
if WHOLE:
    sys.argv.remove("--whole")
PRICES = sys.argv.pop(2)
GERMLINE = sys.argv.pop(1)

class Crashes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        fleet = cls.fleet = FleetApart(GERMLINE)
        cls.addClassCleanup(fleet.stop)
        fleet.use_gateway(PRICES)
        fleet.start()

    def survives(self, victim, state):
        fleet = self.fleet
        run, lineage = fleet.run_until(state)
        fleet.kill_and_restart(victim)
        started = time.monotonic()
        tree, ended = fleet.settled(run, 2)
        took = time.monotonic() - started
        story = json.dumps(tree, indent=1) + fleet.logs()
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2, story)
        attempts = [a["state"] for a in ended[0]["attempts"]]
        print(f"  {victim} killed while {state}: attempts {len(attempts)}, both iterations "
              f"evolved {took:.1f} s after", flush=True)
        if victim == "coordinator":  # the worker went on meanwhile
            self.assertEqual(attempts, ["ATTEMPT_STATE_FINISHED"], story)
        elif state == "reporting":  # its result may have been recorded just before
            self.assertEqual(attempts[-1], "ATTEMPT_STATE_FINISHED", story)
        else:
            self.assertEqual(attempts, ["ATTEMPT_STATE_LOST", "ATTEMPT_STATE_FINISHED"], story)
        self.assertEqual([i["number"] for i in ended], ["1", "2"], story)
        self.is_whole(tree, lineage)

    def is_run_again(self, run, lineage, victim, state):
        """What was killed is the worker's, which tells so: the attempt is lost and not judged."""
        started = time.monotonic()
        tree, ended = self.fleet.settled(run, 2)
        took = time.monotonic() - started
        story = json.dumps(tree, indent=1) + self.fleet.logs()
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2, story)
        attempts = [a["state"] for a in ended[0]["attempts"]]
        print(f"  {victim} killed while {state}: attempts {len(attempts)}, both iterations "
              f"evolved {took:.1f} s after", flush=True)
        self.assertEqual(attempts, ["ATTEMPT_STATE_LOST", "ATTEMPT_STATE_FINISHED"], story)
        self.is_whole(tree, lineage)

    def supervisor_gets(self, number, state="running"):
        """Sends a signal to the supervisor of the one sandbox, in the state."""
        run, lineage = self.fleet.run_until(state)
        holding = self.fleet.wait(self.fleet.supervisors, "a supervisor", every=0.001)
        for each in holding:
            os.kill(each, number)
        return run, lineage

    def test_importer_killed_while_importing(self):
        """What the agent pushed is still there: another importer reads it."""
        run, lineage = self.fleet.run_until("importing")
        importers = [pid for pid in sandbox_pids() if name_of(pid) == "germline-import"]
        self.assertNotEqual(importers, [])
        for each in importers:
            os.kill(each, signal.SIGKILL)
        tree, ended = self.fleet.settled(run, 2)
        story = json.dumps(tree, indent=1) + self.fleet.logs()
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2, story)
        self.assertEqual([a["state"] for a in ended[0]["attempts"]],
                         ["ATTEMPT_STATE_FINISHED"], story)
        print("  importer killed while importing: attempts 1, both iterations evolved", flush=True)
        self.is_whole(tree, lineage)

    def test_supervisor_stopped_while_running_does_not_keep_a_kill_from_its_proof(self):
        run, _ = self.supervisor_gets(signal.SIGSTOP)
        started = time.monotonic()
        killed = self.fleet.asked("kill", run)
        took = time.monotonic() - started
        self.assertEqual(sandbox_pids(), [])
        self.assertEqual([line["proof"] for line in killed["lineages"]], ["KILL_PROOF_KILLED"],
                         self.fleet.logs())
        self.assertEqual(self.fleet.supervisors(), [])
        print(f"  a stopped supervisor's sandbox: killed with proof in {took:.1f} s", flush=True)

    def is_whole(self, tree, lineage):
        """Record, branch and what the branch holds agree, and nothing runs."""
        fleet = self.fleet
        born = tree["generations"]
        self.assertEqual([g["depth"] for g in born], ["0", "1", "2"])
        self.assertEqual([g["parent"] for g in born[1:]], [g["generation_id"] for g in born[:-1]])
        head = born[-1]["commit"]
        branch = f"refs/heads/lineages/{lineage}"
        fleet.wait(lambda: fleet.objects("rev-parse", branch).strip() == head, "the branch follows")
        commits = fleet.objects("rev-list", "--first-parent", branch).split()
        self.assertEqual(commits[:3], [g["commit"] for g in reversed(born)])
        history = json.loads(fleet.objects("show", f"{head}:agent_context.json"))["history"]
        self.assertEqual([entry["result"] for entry in history], ["success"] * 2)
        self.assertEqual(fleet.objects("show", f"{head}:table"), "0 0\n1 1\n2 4\n")
        fleet.wait(lambda: not sandbox_pids(), "no process of a sandbox is left")
        self.assertEqual(fleet.objects("fsck", "--connectivity-only", "--no-dangling"), "")


def add(victim, state):
    if victim == "supervisor":
        def case(self):
            self.is_run_again(*self.supervisor_gets(signal.SIGKILL, state), victim, state)
    else:
        def case(self):
            self.survives(victim, state)
    setattr(Crashes, f"test_{victim}_killed_while_{state}", case)


for each in STATES:
    add("worker", each)
    add("coordinator", each)
for victim, some in (("zygote", ("running", "validating")), ("gateway", ("running",))):
    for each in STATES if WHOLE else some:
        add(victim, each)
for each in ("running", "validating", "probation"):
    add("supervisor", each)

if __name__ == "__main__":
    unittest.main(verbosity=2)
