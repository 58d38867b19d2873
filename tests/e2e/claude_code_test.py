#!/usr/bin/env python3
"""Claude Code, as npm has it, evolves the example genome claude-code. Its provider is scripted.

Usage: claude_code_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM_BINARY. Needs root. Ends 77, skipped, where
npm reaches no registry.
"""
import unittest

from npm_agent import LOOK, LOOKED, WORDS, WORDS_LINE, WORDS_LINES, WORDS_TEST, NpmAgent, Story


def first_iteration(story):
    story.call("1: a tool", "Write", {"file_path": "/workspace/agent/bin/words", "content": WORDS},
               tools_include=["Bash", "Edit", "Read", "Write"],
               tools_exclude=["WebSearch", "WebFetch"],
               any_message_contains=["You, as a repository", "Goal: Know your own memory better"])
    story.call("1: its test", "Write",
               {"file_path": "/workspace/tests/words_test.py", "content": WORDS_TEST},
               last_tool_result_contains="created successfully")
    story.call("1: look", "Read", {"file_path": "/workspace/CLAUDE.md"},
               last_tool_result_contains="created successfully")
    story.call("1: tell of it", "Edit",
               {"file_path": "/workspace/CLAUDE.md", "old_string": WORDS_LINE,
                "new_string": WORDS_LINES}, last_tool_result_contains="## Tools")
    story.call("1: test", "Bash", {"command": LOOK, "description": "Builds and tests"},
               last_tool_result_contains="has been updated")
    story.say("1: done", "I can count words.", last_tool_result_matches=LOOKED)


def second_iteration(story):
    story.call("2: uses it", "Bash", {"command": "words CLAUDE.md; memory", "description": "Tries"},
               any_message_contains=["`words FILE` counts the words", "Earlier, success"])
    story.call("2: look", "Read", {"file_path": "/workspace/agent/prompt.py"},
               last_tool_result_matches="^[0-9]+ words\nsuccess: ")
    story.call("2: remember more", "Edit",
               {"file_path": "/workspace/agent/prompt.py", "old_string": "HISTORY = 10",
                "new_string": "HISTORY = 12"}, last_tool_result_contains="HISTORY = 10")
    story.say("2: done", "I remember more.", last_tool_result_contains="has been updated")


class ClaudeCode(NpmAgent):
    def test_it_evolves_itself(self):
        story = Story()
        first_iteration(story)
        second_iteration(story)
        self.start("messages", story)
        _, ended = self.evolve("claude-code", 2)
        self.assertIn("+HISTORY = 12", self.fleet.call("diff", ended[1]["item_id"]).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
