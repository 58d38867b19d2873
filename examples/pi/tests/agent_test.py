import json
import os
import subprocess
import tempfile
import unittest

import prompt

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "agent/bin")
ENTRY = {"result": "failure", "action": "iteration 2", "details": "a test was red"}


class Prompt(unittest.TestCase):
    def test_it_has_the_goal_of_the_task_else_that_of_the_memory(self):
        context = {"goalState": "grow", "history": [ENTRY]}
        self.assertIn("Goal: grow\n", prompt.of({"workspace": "/w", "goal": None}, context))
        self.assertIn("Goal: shrink\n", prompt.of({"workspace": "/w", "goal": "shrink"}, context))

    def test_it_has_notes_and_what_happened_before(self):
        told = prompt.of({"workspace": "/w", "goal": None, "notes": [{"text": "be brief"}]},
                         {"history": [ENTRY]})
        self.assertIn("Note: be brief\n", told)
        self.assertIn("Earlier, failure: iteration 2: a test was red\n", told)


class Tools(unittest.TestCase):
    def call(self, name, *words):
        return subprocess.run(["/usr/bin/python3", os.path.join(BIN, name), *words], text=True,
                              cwd=self.folder, capture_output=True, check=True).stdout

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = place.name
        with open(os.path.join(self.folder, "agent_context.json"), "w", encoding="utf-8") as file:
            json.dump({"history": [ENTRY]}, file)

    def test_memory(self):
        self.assertEqual(self.call("memory"), "failure: iteration 2: a test was red\n")
