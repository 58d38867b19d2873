"""What the tests of agents from npm have in common: an example genome whose program npm has, a story that
its provider tells, and what must be so afterwards. Skipped where npm reaches no registry."""
import glob
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import npm  # noqa: E402
from fleet import Fleet  # noqa: E402

GERMLINE, UPSTREAM = sys.argv[1:3]
del sys.argv[1:3]
REGISTRY = npm.registry()
# What is not in the source of the seed, so that who runs it runs a later generation.
WORDS = '''\
#!/usr/bin/python3
"""Counts the words of a file."""
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    print(len(file.read().split()), "words")
'''
WORDS_TEST = '''\
from agent_test import Tools as Base


class Words(Base):
    def test_words(self):
        self.assertEqual(self.call("words", "agent_context.json"), "11 words\\n")
'''
WORDS_LINE = "- `memory` prints what happened in earlier iterations.\n"
WORDS_LINES = WORDS_LINE + "- `words FILE` counts the words of a file.\n"
# Tests, and then all of the network interfaces that there are.
LOOK = "python3 build.py && python3 tests/run.py 2>&1; tail -n +3 /proc/net/dev | cut -d: -f1"
LOOKED = r"OK\s+lo\s*$"


class Story:
    """Steps of docs/scripted-provider.md."""

    def __init__(self):
        self.steps = []

    def call(self, name, tool, given, **when):
        self.add(name, {"type": "tool_use", "name": tool, "input": given}, when)

    def say(self, name, text, **when):
        self.add(name, {"type": "text", "text": text}, when)

    def add(self, name, block, when):
        guard = [{key: one} for key, values in when.items()
                 for one in (values if isinstance(values, list) else [values])]
        self.steps.append({"name": name, "when": guard, "reply": {"content": [block]}})


def one_generation(tools, text):
    """A story: makes a tool, with a test, and tells of it in `text`. `tools` says how the agent's own
    are called, and what they answer."""
    story = Story()
    story.call("1: a tool", *tools.write("agent/bin/words", WORDS), tools_include=tools.INCLUDED,
               tools_exclude=tools.EXCLUDED, system_contains="You, as a repository",
               any_message_contains="Goal: Know your own memory better")
    story.call("1: its test", *tools.write("tests/words_test.py", WORDS_TEST),
               last_tool_result_contains=tools.WROTE)
    story.call("1: look", *tools.read(text), last_tool_result_contains=tools.WROTE)
    story.call("1: tell of it", *tools.edit(text, WORDS_LINE, WORDS_LINES),
               last_tool_result_contains="## Tools")
    story.call("1: test", *tools.shell(LOOK), last_tool_result_contains=tools.EDITED)
    story.say("1: done", "I can count words.", last_tool_result_matches=LOOKED)
    return story


class NpmAgent(unittest.TestCase):
    def start(self, dialect, story):
        """The fleet, and the provider, which speaks one dialect."""
        self.fleet = fleet = Fleet(GERMLINE)
        self.addCleanup(fleet.stop)
        fleet.write(fleet.root, "story.json", json.dumps({"steps": story.steps}))
        self.provider = subprocess.Popen(
            [UPSTREAM, "--listen", "127.0.0.1:0", "--story", fleet.root + "/story.json",
             "--report", fleet.root + "/report.json"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_provider)
        port = int(self.provider.stdout.readline())
        self.transcripts = fleet.use_upstream(
            f'[upstream]\nurl = "http://127.0.0.1:{port}"\ndialects = ["{dialect}"]\n')
        fleet.start("--mirror", f"npm={REGISTRY}")

    def end_provider(self):
        if self.provider.poll() is None:
            self.provider.terminate()
            self.provider.wait(30)
        self.provider.stdout.close()

    def evolve(self, example, iterations):
        """A run of so many iterations that all evolve. The tree."""
        return self.evolve_from(self.fleet.example(example), iterations)

    def evolve_from(self, genome, iterations):
        fleet = self.fleet
        run = fleet.run(genome, iterations, "--model", "scripted-1", "--budget", "$5")
        tree, ended = fleet.settled(run, iterations, 240)
        self.end_provider()
        with open(fleet.root + "/report.json") as file:
            report = json.load(file)
        told = json.dumps(report, indent=1) + json.dumps(tree, indent=1) + fleet.logs()
        self.assertEqual([one["ending"] for one in ended], ["ENDING_EVOLVED"] * iterations, told)
        self.assertTrue(report["ok"], told)
        self.judge_account(tree, report, told)
        return tree, ended

    def judge_account(self, tree, report, told):
        """All that was asked was let through, answered, and charged by what it used."""
        lines = []
        for name in glob.glob(self.transcripts + "/*.jsonl"):
            with open(name) as file:
                lines += [line for line in map(json.loads, file) if "outcome" in line]
        self.assertEqual({line["outcome"] for line in lines}, {"settled"}, told)
        self.assertEqual(len(lines), report["requests"], told)
        self.assertEqual(sum(line["cost_nanousd"] for line in lines),
                         int(tree["run"]["spent_nanousd"]), told)
        self.assertGreater(int(tree["run"]["spent_nanousd"]), 0)
