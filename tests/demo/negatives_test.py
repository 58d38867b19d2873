#!/usr/bin/env python3
"""The demo must fail when what it shows is not there. Usage: negatives_test.py DEMO BIN_DIR. Needs root.

The quick genome, the Python one, is played with the new tool taken out, with validation that passes
everything, and with the reason of the refusal hidden.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

DEMO, BIN = sys.argv.pop(1), sys.argv.pop(1)
STORY = pathlib.Path(__file__).parent / "foreign.json"


def edited(step, texts):
    """The story with a text of one step's edit replaced."""
    story = json.loads(STORY.read_text(encoding="utf-8"))
    found = [s for s in story["steps"] if s["name"] == step]
    given = found[0]["reply"]["content"][0]["input"]
    for old, new in texts:
        assert old in given["new"], f"the step {step!r} no longer says {old!r}"
        given["new"] = given["new"].replace(old, new)
    return story


class Negatives(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="germline-negative-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)

    def play(self, *words, **environment):
        done = subprocess.run([DEMO, "--only", "foreign", "--bin", BIN, "--state",
                               f"{self.folder}/state", *words], capture_output=True, text=True,
                              timeout=180, env={**os.environ, **environment})
        return done.returncode, done.stdout + done.stderr

    def fails_at(self, step, played):
        code, text = played
        self.assertEqual(code, 1, text)
        self.assertIn(f"step:     {step}", text)
        self.assertIn("demanded:", text)

    def test_without_the_new_tool_it_fails(self):
        story = edited("1: the tool", texts=[("replace_text, count_words]", "replace_text]")])
        for step in story["steps"]:
            if step["name"] == "1: its test":  # so that the agent's own tests stay green
                step["reply"]["content"][0]["input"]["new"] = (
                    "    def test_count_words(self):\n"
                    "        self.assertEqual(tools.count_words(\"f\"), \"2\")\n\n"
                    "    def test_wrong_calls_are_errors(self):")
        path = pathlib.Path(self.folder) / "story.json"
        path.write_text(json.dumps(story), encoding="utf-8")
        self.fails_at("2: uses its new tool", self.play("--story", str(path)))

    def test_when_validation_passes_everything_it_fails(self):
        self.fails_at("4: has read why it was refused",
                      self.play("--germline", f"{BIN}/germline-lenient", GERMLINE_LENIENT="pass"))

    def test_when_the_reason_is_hidden_it_fails(self):
        self.fails_at("4: has read why it was refused",
                      self.play("--germline", f"{BIN}/germline-lenient", GERMLINE_LENIENT="hide"))

    def test_with_that_program_and_nothing_changed_it_succeeds(self):
        code, text = self.play("--germline", f"{BIN}/germline-lenient", GERMLINE_LENIENT="")
        self.assertEqual(code, 0, text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
