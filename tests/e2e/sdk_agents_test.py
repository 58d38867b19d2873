#!/usr/bin/env python3
"""Two agents of few lines, one with the SDK of Anthropic and one with that of OpenAI, both as npm has
them, evolve themselves in sandboxes. Their provider is scripted.

Usage: sdk_agents_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM_BINARY. Needs root. Ends 77, skipped, where
npm reaches no registry.
"""
import os
import shutil
import unittest

from npm_agent import NpmAgent, Story

HERE = os.path.dirname(os.path.abspath(__file__))
FIRST, SECOND = "Write what comes to your mind.\n", "Write it in verse.\n"


class SdkAgents(NpmAgent):
    def genome(self, model, script):
        """A repository whose agent is that script."""
        place = self.fleet.example("two-second")
        for name in os.listdir(place):
            if name not in (".git", "agent_context.json"):
                path = os.path.join(place, name)
                (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
        shutil.copytree(HERE + "/sdk_agents", place, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("*.mjs"))
        shutil.copy(f"{HERE}/sdk_agents/{script}", place + "/agent.mjs")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(f"{HERE}/../gateway/sdk/{name}", place)
        with open(place + "/genome.toml") as file:
            text = file.read().replace("MODEL", model)
        self.fleet.write(place, "genome.toml", text)
        self.fleet.commit(place, script)
        return place

    def evolves(self, dialect, model, script):
        story = Story()
        story.call("1: another prompt", "write", {"path": "prompt.txt", "text": SECOND},
                   tools_include="write", last_user_text_contains=FIRST)
        story.say("1: done", "Done.", last_tool_result_contains="written: prompt.txt")
        story.call("2: a verse", "write", {"path": "verse.txt", "text": "A rose.\n"},
                   last_user_text_contains=SECOND)
        story.say("2: done", "Done.", last_tool_result_contains="written: verse.txt")
        self.start(dialect, story)
        _, ended = self.evolve_from(self.genome(model, script), 2)
        self.assertIn("+A rose.", self.fleet.call("diff", ended[1]["item_id"]).stdout)

    def test_anthropic(self):
        self.evolves("messages", "anthropic", "anthropic.mjs")

    def test_openai(self):
        self.evolves("responses", "openai", "openai.mjs")


if __name__ == "__main__":
    unittest.main(verbosity=2)
