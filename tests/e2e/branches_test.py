#!/usr/bin/env python3
"""The coordinator's branches follow its record, whatever somebody does to its repository meanwhile:
deletes refs, moves them, makes all of it read-only, or pushes.

Usage: branches_test.py GERMLINE_BINARY. Needs root. What it starts and mounts it ends.
"""
import os
import subprocess
import sys
import unittest

from fleet import Fleet, FleetApart, iterations_of

GERMLINE = sys.argv.pop(1)


class OnFleet(unittest.TestCase):
    """What the cases share."""
    fleet_kind = None

    @classmethod
    def setUpClass(cls):
        fleet = cls.fleet = cls.fleet_kind(GERMLINE)
        cls.addClassCleanup(fleet.stop)
        fleet.start()
        cls.repository = fleet.state + "/coordinator/objects.git"

    def git(self, *words):
        subprocess.run(["git", "-c", "safe.directory=*", "-C", self.repository, *words], check=True,
                       capture_output=True)

    def branch(self, lineage):
        """Where it is; nothing where there is none, or none that can be read."""
        done = subprocess.run(["git", "-c", "safe.directory=*", "-C", self.repository, "rev-parse",
                               "--verify", "-q", f"refs/heads/lineages/{lineage}"],
                              capture_output=True, text=True)
        return done.stdout.strip()

    def run_of(self, iterations, pauses=""):
        run = self.fleet.run(self.fleet.genome("evolve", pauses), iterations)
        return run, self.fleet.tree(run)["run"]["lineages"][0]["lineage_id"]

    def head(self, run):
        return self.fleet.tree(run)["run"]["lineages"][0]["head_commit"]

    def follows(self, run, lineage, seconds=30):
        self.fleet.wait(lambda: self.branch(lineage) == self.head(run), "the branch follows",
                        seconds)

    def all_evolve(self, run, iterations):
        tree, ended = self.fleet.settled(run, iterations)
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * iterations,
                         self.fleet.logs())
        return tree

    def commit_on(self, commit):
        return subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", self.repository, "-c", "user.name=t", "-c",
             "user.email=t@t", "commit-tree", "-p", commit, "-m", "mine", commit + "^{tree}"],
            check=True, capture_output=True, text=True).stdout.strip()


class Branches(OnFleet):
    fleet_kind = FleetApart

    def test_every_ref_is_gone(self):
        run, lineage = self.run_of(2)
        self.all_evolve(run, 2)
        other, other_lineage = self.run_of(1)
        self.all_evolve(other, 1)
        self.git("pack-refs", "--all")
        os.remove(self.repository + "/packed-refs")
        subprocess.run(["rm", "-rf", self.repository + "/refs/heads"], check=True)
        self.assertEqual(self.branch(lineage), "")
        self.follows(run, lineage)
        self.follows(other, other_lineage)
        # The pins went with them, and what is needed is still there.
        third, third_lineage = self.run_of(1)
        self.all_evolve(third, 1)
        self.follows(third, third_lineage)
        self.fleet.call("fork", self.fleet.tree(run)["generations"][1]["generation_id"],
                        "--iterations", "1")
        self.all_evolve(run, 3)

    def test_a_repository_that_is_read_only_for_a_while(self):
        run, lineage = self.run_of(2, "agent 2\n")
        self.fleet.wait(lambda: iterations_of(self.fleet.tree(run)), "an iteration runs")
        subprocess.run(["mount", "--bind", self.repository, self.repository], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", self.repository], check=True)
            self.fleet.wait(lambda: "ead-only" in self.fleet.logs(), "it is told in the log")
            self.assertEqual(self.fleet.call("ps").returncode, 0)
        finally:
            subprocess.run(["umount", self.repository], check=True)
        self.all_evolve(run, 2)
        self.follows(run, lineage)

    def test_a_push_from_outside_pauses_until_a_person_takes_it_back(self):
        run, lineage = self.run_of(3, "agent 1\n")
        self.fleet.wait(lambda: len(iterations_of(self.fleet.tree(run))) > 1, "the second runs")
        born = self.branch(lineage)
        tree = self.commit_on(born)
        self.git("update-ref", f"refs/heads/lineages/{lineage}", tree)

        def state():
            return self.fleet.tree(run)["run"]["lineages"][0]
        self.fleet.wait(lambda: state()["pause_reason"] == "PAUSE_REASON_DIVERGED", "it is told")
        self.assertIn(tree[:8], state()["pause_details"])
        self.assertEqual(self.branch(lineage), tree)  # left as it is
        again = self.fleet.call("resume", lineage, check=False)
        self.fleet.wait(lambda: state()["pause_reason"] == "PAUSE_REASON_DIVERGED",
                        f"still diverged: {again.stderr}")
        self.git("update-ref", f"refs/heads/lineages/{lineage}", born)
        self.fleet.call("resume", lineage)
        self.all_evolve(run, 3)
        self.follows(run, lineage)


class BranchesUnderUp(OnFleet):
    """Where the coordinator has an account of its own, and root pushes."""
    fleet_kind = Fleet

    def test_a_branch_that_it_may_not_read_is_left_as_it_is(self):
        run, lineage = self.run_of(1)
        self.all_evolve(run, 1)
        self.follows(run, lineage)
        pushed = self.commit_on(self.branch(lineage))
        self.git("update-ref", f"refs/heads/lineages/{lineage}", pushed)
        file = f"{self.repository}/refs/heads/lineages/{lineage}"
        os.chown(file, 0, 0)
        os.chmod(file, 0o600)
        self.fleet.wait(lambda: "ermission denied" in self.fleet.logs(), "it is told in the log")
        self.assertEqual(self.branch(lineage), pushed)
        os.chmod(file, 0o644)

        def told():
            known = self.fleet.tree(run)["run"]["lineages"][0]
            return known["pause_reason"] == "PAUSE_REASON_DIVERGED" or (
                "diverged" in self.fleet.logs())
        self.fleet.wait(told, "it is known for what it is")
        self.assertEqual(self.branch(lineage), pushed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
