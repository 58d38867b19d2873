#!/usr/bin/env python3
"""End to end on one machine: rules against runaways, on real iterations, with a coordinator that is
killed in between; and the plan of a run that is not started.

Usage: policy_test.py GERMLINE_BINARY. Needs root. Everything it starts it ends, by pid.
"""
import json
import signal
import sys
import unittest

from fleet import FleetApart, iterations_of, sandbox_pids

GERMLINE = sys.argv.pop(1)


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = FleetApart(GERMLINE)
        cls.addClassCleanup(cls.fleet.stop)
        cls.fleet.start()

    def tearDown(self):
        self.fleet.call("kill", "--all", check=False)

    def state_of(self, run):
        return self.fleet.tree(run)["run"]["lineages"][0]["state"]

    def test_what_crashes_again_and_again_is_warned_of_and_killed(self):
        fleet = self.fleet
        run = fleet.run(fleet.genome("crash"), 0, "--policy", "failure-streak 1 warn",
                        "--policy", "failure-streak 3 kill")
        fleet.settled(run, 1)
        fleet.kill_and_restart("coordinator")
        fleet.await_worker()
        fleet.wait(lambda: self.state_of(run) == "LINEAGE_STATE_KILLED", "it is killed")
        tree = fleet.tree(run)
        story = json.dumps(tree, indent=1) + fleet.logs()
        ended = [i["ending"] for i in iterations_of(tree)]
        self.assertEqual(ended, ["ENDING_FAILED"] * 3, story)
        lineage = tree["run"]["lineages"][0]
        self.assertEqual(lineage["pause_details"], "3 iterations in a row failed"
                         " (policy: failure-streak 3 kill)", story)
        self.assertEqual(sandbox_pids(), [])
        told = fleet.call("logs", run).stdout
        self.assertEqual(told.count("hit failure-streak 1 warn"), 3, told)
        self.assertIn("lineage killed: 3 iterations in a row failed", told)
        shown = fleet.call("show", lineage["lineage_id"]).stdout
        self.assertIn("hit failure-streak 1 warn: 2 iterations in a row failed", shown)
        # The record says by itself what was found.
        judged = fleet.asked("policy", "test", run)
        self.assertEqual([f["rule"] for f in judged["findings"]],
                         ["failure-streak 1 warn"] * 3 + ["failure-streak 3 kill"], story)
        other = fleet.asked("policy", "test", run, "barren-streak 2 pause")
        self.assertEqual(len(other["findings"]), 1)

    def test_source_that_grows_is_taken_back(self):
        fleet = self.fleet
        place = fleet.example("two-second")
        sizes = {}

        def told():
            tree = fleet.tree(run)
            for each in tree["generations"]:
                sizes[each["number"]] = int(each["source_bytes"])
            return tree if tree["rollbacks"] else None
        # Each generation learns a row more: a few bytes.
        run = fleet.run(place, 0, "--policy", "source-growth 1.002 rollback")
        tree = fleet.wait(told, "a newborn was taken back")
        story = json.dumps(tree, indent=1) + fleet.logs()
        self.assertIn("times as large as the seed's", tree["rollbacks"][0]["why"], story)
        self.assertGreater(sizes["1"], sizes["0"], story)

    def test_a_dry_run_leaves_nothing(self):
        fleet = self.fleet
        place = fleet.example("circle-packing")
        before = fleet.objects("for-each-ref"), len(fleet.asked("ps", "--all")["runs"])
        plan = fleet.asked("run", place, "--dry-run", "--lineages", "2", "--iterations", "8",
                           "--strategy", "best", "--policy", "no-improvement 5 pause")
        self.assertEqual(plan["max_iterations"], "16")
        self.assertEqual(plan["policy"], ["no-improvement 5 pause"])
        self.assertEqual(plan["workers"], 1)
        refused = fleet.call("run", place, "--dry-run", "--policy", "nonsense", check=False)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("MEASURE LIMIT ACTION", refused.stderr)
        after = fleet.objects("for-each-ref"), len(fleet.asked("ps", "--all")["runs"])
        self.assertEqual(after, before)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
