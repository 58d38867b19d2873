#!/usr/bin/env python3
"""A run is done again: the same parents, endings, scores and sources come of it, or the first
difference is told.

Usage: replay_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM STORY ITERATIONS [TEST]. Needs root. The
story is that of the demo: the scripted provider answers the built-in agent's first iterations, one or
two, by it, and is gone when they are done again. Everything it starts it ends, by pid.
"""
import json
import os
import subprocess
import sys
import unittest

from fleet import FleetApart

ITERATIONS = int(sys.argv.pop(4))
STORY = sys.argv.pop(3)
UPSTREAM = sys.argv.pop(2)
GERMLINE = sys.argv.pop(1)


class Case(unittest.TestCase):
    def setUp(self):
        self.fleet = FleetApart(GERMLINE)
        self.addCleanup(self.fleet.stop)

    def replay(self, run, *words):
        """Its id, and what is said at the end."""
        done = self.fleet.call("replay", run, "--follow", *words, check=False)
        return done.stdout.split()[0], done


class Replays(Case):
    def test_a_population_is_done_again(self):
        fleet = self.fleet
        fleet.start()
        run = fleet.run(fleet.example("circle-packing"), 3, "--lineages", "2", "--strategy",
                        "archive-sampling", "--inspirations", "1", "--random-seed", "5")
        tree = fleet.measured(run, 6)
        again, done = self.replay(run)
        story = done.stdout + done.stderr + fleet.logs()
        self.assertEqual(done.returncode, 0, story)
        self.assertIn("of 6 iterations 6 are the same", done.stdout)
        replayed = fleet.tree(again)
        for name, key in (("sources", "source_id"), ("means", "fitness")):
            def told(of):
                return sorted(json.dumps(each[key], sort_keys=True)
                              for each in of["generations"])
            self.assertEqual(told(replayed), told(tree), name + story)
        self.assertIn(f"replay of {run}", fleet.call("tree", again).stdout)
        # By hand as well; and a run with itself.
        self.assertIn("6 are the same", fleet.call("compare", again).stdout)
        self.assertEqual(fleet.asked("compare", run, run)["differences"], [])
        lineage = tree["run"]["lineages"][0]["lineage_id"]
        refused = fleet.call("compare", lineage, run, check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("and no run itself", refused.stderr)
        refused = fleet.call("compare", run, check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("is no replay: name the run", refused.stderr)

    def test_what_was_rolled_back_is_so_again_with_what_it_had_learnt(self):
        # The agent crashes until its history tells of a failure.
        fleet = self.fleet
        fleet.start()
        run = fleet.run(fleet.genome("doom 1"), 4, "--policy", "failure-streak 1 rollback")
        tree, ended = fleet.settled(run, 4)
        self.assertEqual([each["ending"] for each in ended],
                         ["ENDING_EVOLVED", "ENDING_FAILED", "ENDING_EVOLVED", "ENDING_EVOLVED"])
        self.assertEqual(len(tree["rollbacks"]), 1)
        again, done = self.replay(run)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + fleet.logs())
        self.assertIn("of 4 iterations 4 are the same", done.stdout)
        self.assertEqual(len(fleet.tree(again)["rollbacks"]), 1)

    def test_an_agent_that_does_as_it_likes_parts(self):
        fleet = self.fleet
        fleet.start()
        place = fleet.genome("evolve")
        with open(place + "/evolve.sh", encoding="utf-8") as file:
            text = file.read()
        marked = text.replace("learn() {", "learn() {\n  cat /proc/sys/kernel/random/uuid > mark\n")
        self.assertNotEqual(marked, text)
        fleet.write(place, "evolve.sh", marked)
        fleet.commit(place, "marked")
        run = fleet.run(place, 2)
        fleet.settled(run, 2)
        _, done = self.replay(run)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr + fleet.logs())
        self.assertIn("of 2 iterations 0 are the same", done.stdout)
        self.assertIn("First difference: iteration 1 of lineage 1: source was", done.stdout)
        self.assertIn("iteration 2 of lineage 1: source was", done.stdout)


class BuiltIn(Case):
    def test_the_built_in_agent_is_done_again_without_its_model(self):
        fleet = self.fleet
        upstream = subprocess.Popen(
            [UPSTREAM, "--listen", "127.0.0.1:0", "--story", STORY, "--report",
             fleet.root + "/report.json"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(upstream.stdout.close)
        self.addCleanup(upstream.wait)
        self.addCleanup(upstream.kill)
        port = upstream.stdout.readline().strip()
        fleet.use_upstream(f'[upstream]\nurl = "http://127.0.0.1:{port}"\n')
        fleet.start()
        place = os.path.join(fleet.root, "builtin")
        subprocess.run([GERMLINE, "init", place], check=True, stdout=subprocess.DEVNULL)
        run = fleet.run(place, ITERATIONS, "--model", "scripted-1", "--budget", "$50")
        tree, ended = fleet.settled(run, ITERATIONS, 600)
        self.assertEqual([each["ending"] for each in ended], ["ENDING_EVOLVED"] * ITERATIONS,
                         json.dumps(tree, indent=1) + fleet.logs())
        upstream.terminate()
        upstream.wait(30)
        again, done = self.replay(run)
        story = done.stdout + done.stderr + fleet.logs()
        self.assertEqual(done.returncode, 0, story)
        told = {1: "of 1 iteration 1 is the same", 2: "of 2 iterations 2 are the same"}
        self.assertIn(told[ITERATIONS], done.stdout)
        replayed = fleet.tree(again)
        self.assertEqual(replayed["run"]["spent_nanousd"], tree["run"]["spent_nanousd"], story)
        self.assertGreater(int(tree["run"]["spent_nanousd"]), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
