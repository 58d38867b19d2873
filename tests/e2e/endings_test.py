#!/usr/bin/env python3
"""End to end on one machine: `germline up`, then the two-second genome through real
sandboxes, to every ending that it can be steered to.

Usage: endings_test.py GERMLINE_BINARY. Needs root. Everything it starts it ends, by pid.
"""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

from fleet import Fleet, children, iterations_of, name_of, sandbox_pids

GERMLINE = sys.argv.pop(1)
KEY = "sk-ant-a-key-that-nobody-may-see-0123456789"


def text_of(path):
    with open(path, errors="replace") as file:
        return file.read()


class Endings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet(GERMLINE)
        cls.fleet.environment["ANTHROPIC_API_KEY"] = KEY
        cls.addClassCleanup(cls.fleet.stop)
        cls.fleet.start()

    def evolve(self, behaviour, iterations):
        run = self.fleet.run(self.fleet.genome(behaviour), iterations)
        return self.fleet.settled(run, iterations)

    def ends_as(self, behaviour, ending, reason, says, wall_time=""):
        genome = self.fleet.genome(behaviour)
        if wall_time:
            with open(os.path.join(genome, "genome.toml")) as file:
                text = file.read()
            self.assertIn('wall_time = "60s"', text)
            self.fleet.write(genome, "genome.toml", text.replace("60s", wall_time))
            self.fleet.commit(genome, "a shorter time")
        return self.run_ends_as(self.fleet.run(genome), ending, reason, says)

    def run_ends_as(self, run, ending, reason, says):
        tree, ended = self.fleet.settled(run, 1)
        story = json.dumps(tree, indent=1) + self.fleet.logs()
        self.assertEqual((ended[0]["ending"], ended[0]["reason"]), (ending, reason), story)
        self.assertIn(says, ended[0]["details"], story)
        # Nothing was born, and what the next generation is to read is committed.
        self.assertEqual(len(tree["generations"]), 1, story)
        shown = self.fleet.asked("show", ended[0]["item_id"])
        newest = json.loads(shown["context_json"])["history"][-1]
        self.assertEqual(newest["result"], "failure")
        self.assertIn(says, newest["details"])
        return ended[0]["item_id"]

    def test_generations_are_born_and_their_sealed_code_runs_next(self):
        tree, ended = self.evolve("evolve", 2)
        story = json.dumps(tree, indent=1) + self.fleet.logs()
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2, story)
        born = tree["generations"]
        self.assertEqual([int(g["depth"]) for g in born], [0, 1, 2], story)
        self.assertEqual(len({g["artefact_id"] for g in born}), 3, story)
        self.assertEqual([g["parent"] for g in born[1:]],
                         [g["generation_id"] for g in born[:-1]], story)

    def test_a_key_brings_a_gateway_up_and_is_seen_nowhere_else(self):
        fleet = self.fleet
        self.assertIn('url = "https://api.anthropic.com"', text_of(fleet.state + "/gateway.toml"))
        waiting, found = [fleet.processes["up"].pid], {}
        while waiting:
            pid = waiting.pop()
            waiting += children(pid)
            found[name_of(pid)] = text_of(f"/proc/{pid}/cmdline")
            # What `up` was given itself is in its own environment, readable by root alone.
            if name_of(pid) != "germline":
                self.assertNotIn(KEY, text_of(f"/proc/{pid}/environ"), name_of(pid))
        self.assertIn("germline-gatewa", found)
        self.assertNotIn(KEY, "".join(found.values()) + fleet.logs())

    def test_a_repository_in_a_closed_home_is_read_as_the_person_who_runs_it(self):
        closed = os.path.join(self.fleet.root, "closed")
        os.makedirs(closed, mode=0o700)
        genome = shutil.move(self.fleet.genome(), closed)
        tree, ended = self.fleet.settled(self.fleet.run(genome), 1)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED", self.fleet.logs())
        self.assertEqual(tree["run"]["repository"], genome)

    def test_a_generation_is_brought_home_to_whoever_owns_the_repository(self):
        fleet = self.fleet
        genome = fleet.genome()
        subprocess.run(["chown", "-R", "65534:65534", genome], check=True)
        run = fleet.run(genome, 2)
        tree, _ = fleet.settled(run, 2)
        first, newest = tree["generations"][1:]
        git = ["git", "-c", "safe.directory=*", "-C", genome]

        def head(branch):
            return subprocess.run(git + ["rev-parse", branch], check=True, capture_output=True,
                                  text=True).stdout.strip()
        branch = fleet.call("promote", first["generation_id"]).stdout.strip()
        self.assertEqual(branch, "germline/" + first["generation_id"])
        self.assertEqual(head(branch), first["commit"])
        told = fleet.asked("promote", run, "--branch", branch)  # the run's newest; forward
        self.assertEqual((told["generation_id"], told["commit"]),
                         (newest["generation_id"], newest["commit"]))
        self.assertEqual(head(branch), newest["commit"])
        subprocess.run(git + ["fsck", "--strict"], check=True, capture_output=True)
        for folder, _, files in os.walk(genome):
            for name in [folder, *(os.path.join(folder, file) for file in files)]:
                self.assertEqual(os.lstat(name).st_uid, 65534, name)
        # What would be lost or pulled away under somebody's feet is refused.
        current = subprocess.run(git + ["symbolic-ref", "--short", "HEAD"], check=True,
                                 capture_output=True, text=True).stdout.strip()
        for words in (["--branch", current], ["--branch", branch]):
            refused = fleet.call("promote", first["generation_id"], *words, check=False)
            self.assertEqual(refused.returncode, 5, refused.stderr)
        self.assertEqual(fleet.call("promote", tree["iterations"][1]["item_id"],
                                    check=False).returncode, 2)
        other = fleet.root + "/other"
        subprocess.run(["git", "init", "-q", "--bare", other], check=True)
        fleet.call("promote", run, "--repository", other, "--branch", "agent")
        self.assertEqual(subprocess.run(["git", "-C", other, "log", "--format=%H", "agent"],
                                        check=True, capture_output=True,
                                        text=True).stdout.split()[0], newest["commit"])

    def test_a_weakened_test_does_not_fool_the_protected_ones(self):
        self.ends_as("weaken", "ENDING_REJECTED", "test", "square_of_zero")
        # What was sealed to be judged is gone from the worker; nothing waits at the coordinator.
        kept = set(os.listdir(self.fleet.state + "/worker/exports/artefacts"))
        stored = set(os.listdir(self.fleet.state + "/coordinator/artefacts"))
        self.assertLessEqual(kept, stored)
        self.assertEqual(os.listdir(self.fleet.state + "/coordinator/incoming"), [])

    def test_a_protected_path_cannot_be_changed(self):
        item = self.ends_as("touch-protected", "ENDING_REJECTED", "protected", "protected/run")
        # What the agent did stays, to be read.
        self.assertIn("+++ b/protected/run", self.fleet.call("diff", item).stdout)

    def test_tests_that_hang_are_told_as_late_not_as_lost(self):
        self.ends_as("hang-tests", "ENDING_REJECTED", "time", "time", wall_time="8s")

    def test_a_report_larger_than_a_message_may_be_is_red_and_stops_nothing(self):
        self.ends_as("shout", "ENDING_REJECTED", "test", "failed")

    def test_objects_past_their_bounds_are_refused(self):
        self.ends_as("bloat", "ENDING_REJECTED", "objects", "17825792 bytes")

    def test_a_broken_build_is_refused(self):
        item = self.ends_as("break-build", "ENDING_REJECTED", "build", "exit code 1")
        self.assertIn("+exit 1", self.fleet.call("diff", item).stdout)

    def test_no_change_stalls(self):
        self.ends_as("stall", "ENDING_STALLED", "no_change", "nothing")

    def test_a_crash_fails(self):
        self.ends_as("crash", "ENDING_FAILED", "crash", "exit code 7")

    def test_an_agent_that_needs_more_memory_than_there_is_fails(self):
        self.ends_as("swell", "ENDING_FAILED", "memory", "memory")

    def test_an_agent_whose_budget_covers_no_request_fails(self):
        run = self.fleet.run(self.fleet.example("foreign"), 1, "--model", "claude-fable-5-1",
                             "--budget", "$0.001")
        item = self.run_ends_as(run, "ENDING_FAILED", "budget", "budget of $0.001 does not cover")
        shown = self.fleet.asked("show", item)
        self.assertIn("exit code 3", shown["iteration"]["details"])  # how the agent took it
        self.assertEqual(self.fleet.tree(run)["run"].get("spent_nanousd", "0"), "0")

    def test_a_generation_that_cannot_be_run_is_not_born(self):
        self.ends_as("stillborn", "ENDING_REJECTED", "probation", "exit code 7")

    def test_bytes_that_are_no_text_are_told_as_what_they_are(self):
        self.ends_as("babble", "ENDING_FAILED", "crash", "bytes")

    def test_a_genome_that_asks_for_less_time_gets_less(self):
        self.ends_as("hang", "ENDING_FAILED", "time", "time", wall_time="8s")

    def test_a_record_that_cannot_be_written_for_a_while_is_taken_up_again(self):
        fleet = self.fleet
        run = fleet.run(fleet.genome("evolve", "agent 8\n"))

        def runs():
            live = iterations_of(fleet.tree(run))
            return live and live[0]["phase"] == "ITERATION_PHASE_RUNNING"
        fleet.wait(runs, "the agent runs", 90)
        record = sqlite3.connect(fleet.state + "/coordinator/record.sqlite", isolation_level=None)
        record.execute("BEGIN IMMEDIATE")
        for pid in children(fleet.processes["up"].pid):
            with open(f"/proc/{pid}/cmdline") as words:
                if "\0worker\0" in words.read():
                    os.kill(pid, signal.SIGKILL)  # that its attempt is lost cannot be recorded
        time.sleep(10)
        record.execute("ROLLBACK")
        record.close()
        tree, ended = fleet.settled(run, 1, 120)
        story = json.dumps(tree, indent=1) + fleet.logs()
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED", story)
        self.assertEqual([a["state"] for a in ended[0]["attempts"]],
                         ["ATTEMPT_STATE_LOST", "ATTEMPT_STATE_FINISHED"], story)

    def test_kill_of_the_only_lineage_ends_its_seed_too(self):
        run = self.fleet.run(self.fleet.genome("evolve", "build 60\n"))
        self.fleet.wait(sandbox_pids, "the seed is being built")
        time.sleep(1)
        lineage = self.fleet.tree(run)["run"]["lineages"][0]["lineage_id"]
        killed = self.fleet.asked("kill", lineage)
        self.assertEqual([line["proof"] for line in killed["lineages"]], ["KILL_PROOF_KILLED"])
        self.assertEqual(sandbox_pids(), [])

    def test_kill_returns_with_proof_while_a_fork_bomb_runs(self):
        run = self.fleet.run(self.fleet.genome("fork-bomb"))

        def runs():
            live = iterations_of(self.fleet.tree(run))
            return live and live[0]["phase"] == "ITERATION_PHASE_RUNNING"
        self.fleet.wait(runs, "the agent runs")
        self.fleet.wait(lambda: len(sandbox_pids()) > 10, "it has bred")
        killed = self.fleet.asked("kill", run)
        proofs = {line["proof"] for line in killed["lineages"]}
        self.assertIn("KILL_PROOF_KILLED", proofs, killed)
        self.assertLessEqual(proofs, {"KILL_PROOF_KILLED", "KILL_PROOF_NOTHING_RAN"}, killed)
        self.assertEqual(sandbox_pids(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
