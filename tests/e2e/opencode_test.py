#!/usr/bin/env python3
"""opencode, as npm has it, evolves the example genome opencode. Its provider is scripted.

Usage: opencode_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM_BINARY. Needs root. Ends 77, skipped, where npm
reaches no registry.
"""
import unittest

from npm_agent import NpmAgent, one_generation


class Tools:
    INCLUDED, EXCLUDED = ["bash", "edit", "read", "write"], ["webfetch", "websearch"]
    WROTE, EDITED = "Wrote file successfully", "Edit applied successfully"

    @staticmethod
    def write(path, text):
        return "write", {"filePath": "/workspace/" + path, "content": text}

    @staticmethod
    def read(path):
        return "read", {"filePath": "/workspace/" + path}

    @staticmethod
    def edit(path, old, new):
        return "edit", {"filePath": "/workspace/" + path, "oldString": old, "newString": new}

    @staticmethod
    def shell(command):
        return "bash", {"command": command, "description": "Looks"}


class Opencode(NpmAgent):
    def test_it_evolves_itself(self):
        self.start("messages", one_generation(Tools, "AGENTS.md"))
        _, ended = self.evolve("opencode", 1)
        changed = self.fleet.call("diff", ended[0]["item_id"]).stdout
        self.assertIn("agent/bin/words", changed)
        self.assertNotIn("build/", changed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
