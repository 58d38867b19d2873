#!/usr/bin/env python3
"""Codex, as npm has it, evolves the example genome codex. Its provider is scripted, and speaks Responses.

Usage: codex_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM_BINARY. Needs root. Ends 77, skipped, where npm
reaches no registry.
"""
import unittest

from npm_agent import LOOK, LOOKED, WORDS, WORDS_LINE, WORDS_LINES, WORDS_TEST, NpmAgent, Story


def added(path, text):
    return f"*** Add File: {path}\n" + "".join(f"+{line}\n" for line in text.splitlines())


def changed(path, old, new):
    return (f"*** Update File: {path}\n@@\n" + "".join(f"-{line}\n" for line in old.splitlines()) +
            "".join(f"+{line}\n" for line in new.splitlines()))


def patch(*changes):
    """As the program's own instructions ask for it: a command that it carries out itself."""
    text = "*** Begin Patch\n" + "".join(changes) + "*** End Patch\n"
    return {"cmd": f"apply_patch <<'EOF'\n{text}EOF\n"}


def first_iteration(story):
    story.call("1: a tool, and its test", "exec_command",
               patch(added("agent/bin/words", WORDS), added("tests/words_test.py", WORDS_TEST),
                     changed("AGENTS.md", WORDS_LINE, WORDS_LINES)),
               tools_include="exec_command", tools_exclude="web_search",
               any_message_contains=["You, as a repository", "Goal: Know your own memory better"])
    story.call("1: test", "exec_command", {"cmd": LOOK}, last_tool_result_contains="Success.")
    story.say("1: done", "I can count words.", last_tool_result_matches=LOOKED)


def second_iteration(story):
    story.call("2: uses it", "exec_command", {"cmd": "words AGENTS.md; memory"},
               any_message_contains=["`words FILE` counts the words", "Earlier, success"])
    story.call("2: remember more", "exec_command",
               patch(changed("agent/prompt.py", "HISTORY = 10  # entries\n",
                             "HISTORY = 12  # entries\n")),
               last_tool_result_matches="[0-9]+ words\nsuccess: ")
    story.say("2: done", "I remember more.", last_tool_result_contains="Success.")


class Codex(NpmAgent):
    def test_it_evolves_itself(self):
        story = Story()
        first_iteration(story)
        second_iteration(story)
        self.start("responses", story)
        _, ended = self.evolve("codex", 2)
        self.assertIn("+HISTORY = 12", self.fleet.call("diff", ended[1]["item_id"]).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
