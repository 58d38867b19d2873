#!/usr/bin/env python3
"""Lineages on real sandboxes: one whose new generation is no good is rolled back by itself; people
roll back, fork and retire.

Usage: lineages_test.py GERMLINE_BINARY. Needs root. What it starts it ends, by pid.
"""
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import unittest

from fleet import FleetApart, iterations_of

GERMLINE = sys.argv.pop(1)
CONTEXT = "agent_context.json"


class Lineages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        fleet = cls.fleet = FleetApart(GERMLINE)
        cls.addClassCleanup(fleet.stop)
        fleet.start()

    def history(self, commit):
        return json.loads(self.fleet.objects("show", f"{commit}:{CONTEXT}"))["history"]

    def branch(self, lineage, head):
        """The commits of a lineage's branch, newest first, once it is at the head."""
        name = f"refs/heads/lineages/{lineage}"
        self.fleet.wait(lambda: self.fleet.objects("rev-parse", name).strip() == head,
                        "the branch follows")
        return self.fleet.objects("rev-list", "--first-parent", name).split()

    def is_taken_back(self, commit, ancestor, before):
        """The ancestor's source with the context of the head before, as a step forward."""
        objects = self.fleet.objects
        self.assertEqual(objects("rev-parse", f"{commit}^@").split(), [before])
        self.assertEqual(objects("diff", "--name-only", ancestor, commit).split(), [CONTEXT])
        self.assertEqual(objects("rev-parse", f"{commit}:{CONTEXT}"),
                         objects("rev-parse", f"{before}:{CONTEXT}"))

    def done(self, iterations=2, behaviour="evolve"):
        run = self.fleet.run(self.fleet.genome(behaviour), iterations)
        return self.fleet.settled(run, iterations)[0]

    def test_what_goes_on_is_watched_on_a_terminal_and_the_terminal_is_left_as_it_was(self):
        run = self.done(1)["run"]
        lineage = run["lineages"][0]["lineage_id"]
        for target, shown in (([], lineage[:8]), ([run["run_id"]], "evolved")):
            ours, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 90, 0, 0))
            watching = subprocess.Popen(
                [GERMLINE, "watch", *target, "--coordinator", self.fleet.address], stdin=theirs,
                stdout=theirs, stderr=theirs)
            os.close(theirs)
            drawn = b""
            while drawn.count(b" UTC ") < 3:  # three pictures
                drawn += os.read(ours, 65_536)
            watching.send_signal(signal.SIGINT)
            while True:
                try:
                    drawn += os.read(ours, 65_536)
                except OSError:  # nobody has the other end any more
                    break
            os.close(ours)
            self.assertEqual(watching.wait(20), 0, drawn)
            self.assertIn(shown.encode(), drawn)
            self.assertTrue(drawn.startswith(b"\x1b[?1049h"), drawn)
            self.assertTrue(drawn.endswith(b"\x1b[?25h\x1b[?1049l"), drawn)
            for picture in drawn.split(b"\x1b[H"):
                self.assertLess(picture.count(b"\n"), 12)
        in_a_pipe = self.fleet.call("watch", check=False)
        self.assertEqual(in_a_pipe.returncode, 2)
        self.assertIn("draws on a terminal", in_a_pipe.stderr)

    def test_a_generation_that_only_fails_is_rolled_back_and_the_lineage_evolves_again(self):
        fleet = self.fleet
        tree, ended = fleet.settled(fleet.run(fleet.genome("doom"), 6), 6, 150)
        story = json.dumps(tree, indent=1) + fleet.logs()
        self.assertEqual([i["ending"] for i in ended],
                         ["ENDING_EVOLVED"] + ["ENDING_FAILED"] * 3 + ["ENDING_EVOLVED"] * 2, story)
        self.assertEqual([i["reason"] for i in ended[1:4]], ["crash"] * 3, story)
        seed, bad, good, newest = tree["generations"]
        # A number is never used again; a depth is.
        self.assertEqual([g["number"] for g in tree["generations"]], ["0", "1", "2", "3"], story)
        self.assertEqual([g["depth"] for g in tree["generations"]], ["0", "1", "1", "2"], story)
        self.assertEqual(good["parent"], seed["generation_id"])
        self.assertEqual([i["parent_generation"] for i in ended[1:5]],
                         [bad["generation_id"]] * 3 + [seed["generation_id"]])
        lineage = tree["run"]["lineages"][0]
        commits = self.branch(lineage["lineage_id"], newest["commit"])
        failed = [i["commit"] for i in ended[1:4]]
        self.assertEqual(commits[:2] + commits[3:8],
                         [newest["commit"], good["commit"], *reversed(failed), bad["commit"],
                          seed["commit"]])
        self.is_taken_back(commits[2], seed["commit"], failed[-1])
        self.assertEqual([entry["result"] for entry in self.history(newest["commit"])],
                         ["success"] + ["failure"] * 3 + ["success"] * 2)
        self.assertEqual(fleet.objects("fsck", "--connectivity-only", "--no-dangling"), "")
        # People see it, where it happened.
        self.assertEqual([(back["generation_id"], back["after_iteration"], back["why"])
                          for back in tree["rollbacks"]],
                         [(seed["generation_id"], ended[3]["item_id"],
                           "generation 1 failed 3 iterations in a row")])
        told = [line for line in fleet.call("logs", tree["run"]["run_id"]).stdout.splitlines()
                if "rolled back" in line]
        self.assertEqual(len(told), 1)
        self.assertRegex(told[0], r"rolled back to generation 0 gen_\w+: generation 1 failed 3 "
                                  r"iterations in a row$")
        drawn = fleet.call("tree", tree["run"]["run_id"]).stdout
        self.assertLess(drawn.rindex("failed (crash)"), drawn.index("rolled back"), drawn)
        self.assertLess(drawn.index("rolled back"), drawn.index("generation 2"), drawn)

    def test_a_person_rolls_back_a_lineage_that_is_done(self):
        fleet = self.fleet
        tree = self.done()
        lineage = tree["run"]["lineages"][0]["lineage_id"]
        seed, first, newest = tree["generations"]
        refused = fleet.call("rollback", lineage, "--to", newest["generation_id"], check=False)
        self.assertEqual(refused.returncode, 5)
        self.assertIn(first["generation_id"], refused.stderr)
        back = fleet.asked("rollback", lineage, "--to", seed["generation_id"], "--why", "slow")
        self.assertEqual(back["lineage"]["pause_reason"], "PAUSE_REASON_DONE")
        self.assertEqual(back["lineage"]["head_generation"], seed["generation_id"])
        head = back["lineage"]["head_commit"]
        self.branch(lineage, head)
        self.is_taken_back(head, seed["commit"], newest["commit"])
        self.assertEqual(fleet.call("rollback", lineage, check=False).returncode, 5)

    def test_a_fork_goes_on_from_any_generation_whatever_becomes_of_the_coordinator(self):
        fleet = self.fleet
        tree = self.done()
        run, first = tree["run"]["run_id"], tree["generations"][1]
        fleet.call("kill", run)
        lineage = fleet.call("fork", first["generation_id"], "--iterations", "1").stdout.strip()
        fleet.kill_and_restart("coordinator")
        tree, _ = fleet.settled(run, 3)
        story = json.dumps(tree, indent=1) + fleet.logs()
        mine = [i for i in iterations_of(tree) if i["lineage_id"] == lineage]
        self.assertEqual([i["ending"] for i in mine], ["ENDING_EVOLVED"], story)
        born = tree["generations"][-1]
        self.assertEqual((born["parent"], born["number"], born["depth"], born["lineage_id"]),
                         (first["generation_id"], "2", "2", lineage), story)
        commits = self.branch(lineage, born["commit"])
        self.assertEqual(commits[:2], [born["commit"], first["commit"]])
        self.assertEqual(len(self.history(born["commit"])), 2)
        self.assertEqual(fleet.objects("show", f"{born['commit']}:table"), "0 0\n1 1\n2 4\n")
        drawn = fleet.call("tree", lineage).stdout
        self.assertIn(f"from generation 1 {first['generation_id'][:16]}", drawn)

    def test_what_is_retired_is_over_and_keeps_its_history(self):
        fleet = self.fleet
        tree = self.done(1)
        run, lineage = tree["run"]["run_id"], tree["run"]["lineages"][0]["lineage_id"]
        fleet.call("retire", lineage, "--why", "a better one")
        for words in (["resume"], ["rollback"], ["retire"], ["pause"]):
            refused = fleet.call(*words, lineage, check=False)
            self.assertEqual(refused.returncode, 5, refused.stderr)
            self.assertIn("retired", refused.stderr)
        fleet.kill_and_restart("coordinator")
        fleet.wait(lambda: fleet.tree(run), "the coordinator is back")
        tree = fleet.tree(run)
        self.assertEqual(tree["run"]["lineages"][0]["state"], "LINEAGE_STATE_RETIRED")
        self.branch(lineage, tree["generations"][-1]["commit"])
        self.assertIn("lineage retired: a better one", fleet.call("logs", run).stdout)
        fleet.await_worker()
        fork = fleet.call("fork", tree["generations"][-1]["generation_id"]).stdout.strip()
        tree, ended = fleet.settled(run, 2)
        self.assertEqual((ended[-1]["lineage_id"], ended[-1]["ending"]), (fork, "ENDING_EVOLVED"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
