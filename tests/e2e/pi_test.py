#!/usr/bin/env python3
"""pi, as npm has it, evolves the example genome pi, on a Node.js that npm has as well. Its provider is
scripted.

Usage: pi_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM_BINARY. Needs root. Ends 77, skipped, where npm
reaches no registry.
"""
import unittest

from npm_agent import NpmAgent, one_generation


class Tools:
    INCLUDED, EXCLUDED = ["bash", "edit", "read", "write"], ["grep", "find"]
    WROTE, EDITED = "Successfully wrote", "Successfully replaced"

    @staticmethod
    def write(path, text):
        return "write", {"path": path, "content": text}

    @staticmethod
    def read(path):
        return "read", {"path": path}

    @staticmethod
    def edit(path, old, new):
        return "edit", {"path": path, "edits": [{"oldText": old, "newText": new}]}

    @staticmethod
    def shell(command):
        return "bash", {"command": command}


class Pi(NpmAgent):
    def test_it_evolves_itself(self):
        self.start("messages", one_generation(Tools, "AGENTS.md"))
        _, ended = self.evolve("pi", 1)
        changed = self.fleet.call("diff", ended[0]["item_id"]).stdout
        self.assertIn("agent/bin/words", changed)
        self.assertNotIn("build/", changed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
