#!/usr/bin/env python3
"""kill -9 of each of the product's processes, in each state of an iteration, and a restart: nothing
is lost, nothing happens twice, nothing of the sandbox is left.

Usage: crash_test.py GERMLINE_BINARY PRICES_FILE. Needs root. What it starts it ends, by pid.
"""
import json
import os
import signal
import sys
import time
import unittest

from fleet import STATES, FleetApart, sandbox_pids

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

    def supervisor_gets(self, number):
        """Sends a signal to the supervisor of the one sandbox, while the agent runs."""
        run, lineage = self.fleet.run_until("running")
        holding = self.fleet.wait(self.fleet.supervisors, "a supervisor")
        self.assertEqual(len(holding), 1)
        os.kill(holding[0], number)
        return run, lineage

    def test_supervisor_killed_while_running(self):
        run, lineage = self.supervisor_gets(signal.SIGKILL)
        tree, ended = self.fleet.settled(run, 2)
        story = json.dumps(tree, indent=1) + self.fleet.logs()
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2, story)
        self.assertEqual([a["state"] for a in ended[0]["attempts"]],
                         ["ATTEMPT_STATE_LOST", "ATTEMPT_STATE_FINISHED"], story)
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
    setattr(Crashes, f"test_{victim}_killed_while_{state}",
            lambda self: self.survives(victim, state))


for each in STATES:
    add("worker", each)
    add("coordinator", each)
add("zygote", "running")
add("gateway", "running")

if __name__ == "__main__":
    unittest.main(verbosity=2)
