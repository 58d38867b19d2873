#!/usr/bin/env python3
"""The built-in agent is measured by tasks: it works on the repositories of examples/tasks with a
model, its programs are run on inputs that it has not seen, and it has the score that is due.

Usage: tasks_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM. Needs root. The model is the scripted
provider, which solves four of the ten. Everything it starts it ends, by pid.
"""
import json
import pathlib
import subprocess
import sys
import unittest

from fleet import FleetApart

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests/tasks"))
from evaluator import load_evaluator  # noqa: E402
from task_story import lanes, says, write_story  # noqa: E402

UPSTREAM = sys.argv.pop(2)
GERMLINE = sys.argv.pop(1)
TASKS = SOURCE / "examples/tasks"
SOLVED = {"interval-merge", "lru-cache", "semver-order", "close-pairs"}

# The agent's own iteration changes nothing, so there is one generation to be measured.
NOTHING = {"lane": "itself", "match": [{"system_contains": "your own source code"}], "steps": [
    {"name": "chooses a goal", "reply": says('{"goal": "Rest."}')},
    {"name": "plans", "reply": says("There is nothing to do.")},
    {"name": "does nothing", "reply": says("Nothing was changed.")}]}


class Tasks(unittest.TestCase):
    def setUp(self):
        self.fleet = fleet = FleetApart(GERMLINE)
        self.addCleanup(fleet.stop)
        self.tasks, _, _ = load_evaluator(SOURCE).load(TASKS)
        write_story(fleet.root + "/story.json", [NOTHING, *lanes(self.tasks, SOLVED)])
        self.upstream = subprocess.Popen(
            [UPSTREAM, "--listen", "127.0.0.1:0", "--story", fleet.root + "/story.json", "--report",
             fleet.root + "/report.json"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.upstream.stdout.close)
        self.addCleanup(self.upstream.wait)
        self.addCleanup(self.upstream.kill)
        port = self.upstream.stdout.readline().strip()
        fleet.use_upstream(f'[upstream]\nurl = "http://127.0.0.1:{port}"\n')
        fleet.start()

    def evaluated(self, run):
        """The run's tree, once its seed is measured and its iteration has ended."""
        self.fleet.settled(run, 1, 600)

        def holds():
            tree = self.fleet.tree(run)
            done = tree and tree["evaluations"] and all(
                each["ending"] != "ENDING_UNSPECIFIED" for each in tree["evaluations"])
            return tree if done else None
        return self.fleet.wait(holds, f"the seed of {run} is measured", 300)

    def test_the_built_in_agent_is_scored_by_the_tasks_that_it_solves(self):
        fleet = self.fleet
        run = fleet.run(fleet.example("task-solver"), 1, "--model", "scripted-1", "--budget", "$20",
                        "--evaluation-budget", "$10", "--held-out", str(TASKS))
        tree = self.evaluated(run)
        self.upstream.terminate()
        self.upstream.wait(30)
        with open(fleet.root + "/report.json", encoding="utf-8") as report:
            told = json.load(report)
        story = json.dumps([tree, told], indent=1) + fleet.logs()
        self.assertTrue(told["ok"], story)
        (evaluation,) = tree["evaluations"]
        self.assertEqual(evaluation["ending"], "ENDING_SCORED", story)
        item = evaluation["item_id"]
        score = fleet.asked("show", item)["iteration"]["score"]  # `tree` leaves the cases out
        shares = {each["name"]: each["value"] for each in score["cases"]}
        self.assertEqual(sorted(shares), sorted(task.name for task in self.tasks), story)
        self.assertEqual({name for name, share in shares.items() if share == 1}, SOLVED, story)
        self.assertTrue(all(share <= 0.4 for name, share in shares.items() if name not in SOLVED))
        self.assertAlmostEqual(score["score"], sum(shares.values()) / 10, places=9)
        metrics = {each["name"]: each["value"] for each in score["metrics"]}
        self.assertEqual((metrics["solved"], metrics["tried"]), (4, 10), story)
        self.assertGreater(int(evaluation["usage"]["cost_nanousd"]), 0, story)
        self.assertIn("lru-cache: 100% in ", fleet.call("show", item).stdout)
        ranked = fleet.asked("archive", "top", run)
        self.assertEqual([each["fitness"]["mean"] for each in ranked], [score["score"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
