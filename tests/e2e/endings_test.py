#!/usr/bin/env python3
"""End to end on one machine: `germline up`, then the two-second genome through real
sandboxes, to every ending that it can be steered to.

Usage: endings_test.py GERMLINE_BINARY. Needs root. Everything it starts it ends, by pid.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

GERMLINE = sys.argv.pop(1)


class Endings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise RuntimeError("this test needs root: it makes sandboxes")
        cls.root = tempfile.mkdtemp(prefix="germline-e2e-")
        os.chmod(cls.root, 0o755)
        cls.socket_dir = os.path.join(cls.root, "run", "germline")
        cls.address = f"unix:{cls.socket_dir}/control.sock"
        cls.state = os.path.join(cls.root, "state")
        cls.log = open(os.path.join(cls.root, "up.log"), "wb")
        cls.up = subprocess.Popen(
            [GERMLINE, "up", "--state-dir", cls.state, "--coordinator", cls.address],
            stdout=cls.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if cls.up.poll() is not None:
                break
            listed = cls.call("ps", "--workers", "--json", check=False)
            if listed.returncode == 0 and "true" in listed.stdout:
                return
            time.sleep(0.3)
        raise RuntimeError("no worker joined: " + cls.logs())

    @classmethod
    def tearDownClass(cls):
        cls.up.send_signal(signal.SIGTERM)
        try:
            cls.up.wait(30)
        except subprocess.TimeoutExpired:
            cls.up.kill()
            cls.up.wait()
        cls.log.close()
        shutil.rmtree(cls.root, ignore_errors=True)

    @classmethod
    def call(cls, *words, check=True):
        done = subprocess.run([GERMLINE, *words, "--coordinator", cls.address],
                              capture_output=True, text=True, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"germline {' '.join(words)} ended with {done.returncode}\n"
                                 f"{done.stdout}\n{done.stderr}\n{cls.logs()}")
        return done

    @classmethod
    def logs(cls):
        text = ""
        for name in ("../up.log", "logs/coordinator.log", "logs/worker.log"):
            path = os.path.join(cls.state, name)
            if os.path.exists(path):
                with open(path, errors="replace") as log:
                    text += f"--- {name}\n{log.read()[-6000:]}\n"
        return text

    def genome(self, behaviour):
        place = os.path.join(self.root, "genome-" + behaviour)
        subprocess.run([GERMLINE, "init", place, "--from", "two-second"], check=True,
                       capture_output=True, text=True)
        with open(os.path.join(place, "behaviour"), "w") as file:
            file.write(behaviour + "\n")
        git = ["git", "-C", place, "-c", "user.name=t", "-c", "user.email=t@t"]
        subprocess.run(git + ["add", "-A"], check=True)
        subprocess.run(git + ["commit", "-q", "--allow-empty", "-m", behaviour], check=True)
        return place

    def evolve(self, behaviour, iterations):
        run = json.loads(self.call("run", self.genome(behaviour), "--iterations",
                                   str(iterations), "--json").stdout)
        run_id = run["run_id"]
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            tree = json.loads(self.call("tree", run_id, "--json").stdout)
            ended = [i for i in tree["iterations"]
                     if i["kind"] == "WORK_KIND_ITERATE" and i["ending"] != "ENDING_UNSPECIFIED"]
            if len(ended) >= iterations or tree["run"]["found_state"] == "refused":
                return tree, ended
            time.sleep(0.5)
        raise AssertionError("the run did not settle in 100 s: " + json.dumps(tree) + self.logs())

    def ends_as(self, behaviour, ending, reason, says):
        tree, ended = self.evolve(behaviour, 1)
        story = json.dumps(tree, indent=1) + self.logs()
        self.assertEqual((ended[0]["ending"], ended[0]["reason"]), (ending, reason), story)
        self.assertIn(says, ended[0]["details"], story)
        # Nothing was born, and what the next generation is to read is committed.
        self.assertEqual(len(tree["generations"]), 1, story)
        shown = json.loads(self.call("show", ended[0]["item_id"], "--json").stdout)
        newest = json.loads(shown["context_json"])["history"][-1]
        self.assertEqual(newest["result"], "failure")
        self.assertIn(says, newest["details"])

    def test_generations_are_born_and_their_sealed_code_runs_next(self):
        tree, ended = self.evolve("evolve", 2)
        story = json.dumps(tree, indent=1) + self.logs()
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2, story)
        born = tree["generations"]
        self.assertEqual([int(g["depth"]) for g in born], [0, 1, 2], story)
        self.assertEqual(len({g["artefact_id"] for g in born}), 3, story)
        self.assertEqual([g["parent"] for g in born[1:]],
                         [g["generation_id"] for g in born[:-1]], story)

    def test_a_weakened_test_does_not_fool_the_protected_ones(self):
        self.ends_as("weaken", "ENDING_REJECTED", "test", "square_of_zero")

    def test_a_protected_path_cannot_be_changed(self):
        self.ends_as("touch-protected", "ENDING_REJECTED", "protected", "protected/run")

    def test_a_broken_build_is_refused(self):
        self.ends_as("break-build", "ENDING_REJECTED", "build", "exit code 1")

    def test_no_change_stalls(self):
        self.ends_as("stall", "ENDING_STALLED", "no_change", "nothing")

    def test_a_crash_fails(self):
        self.ends_as("crash", "ENDING_FAILED", "crash", "exit code 7")

    def test_kill_returns_with_proof_while_a_fork_bomb_runs(self):
        run = json.loads(self.call("run", self.genome("fork-bomb"), "--iterations", "1",
                                   "--json").stdout)
        deadline = time.monotonic() + 60
        phase = ""
        while phase != "ITERATION_PHASE_RUNNING":
            self.assertLess(time.monotonic(), deadline, "the agent never ran" + self.logs())
            tree = json.loads(self.call("tree", run["run_id"], "--json").stdout)
            live = [i for i in tree["iterations"] if i["kind"] == "WORK_KIND_ITERATE"]
            phase = live[0]["phase"] if live else ""
            time.sleep(0.2)
        time.sleep(1)  # let it breed
        self.assertGreater(len(self.sandbox_pids()), 10)
        killed = json.loads(self.call("kill", run["run_id"], "--json").stdout)
        proofs = {line["proof"] for line in killed["lineages"]}
        self.assertIn("KILL_PROOF_KILLED", proofs, killed)
        self.assertLessEqual(proofs, {"KILL_PROOF_KILLED", "KILL_PROOF_NOTHING_RAN"}, killed)
        self.assertEqual(self.sandbox_pids(), [])

    @staticmethod
    def sandbox_pids():
        """Processes under a uid of the sandboxes' ranges."""
        first = 1_879_048_192 + 65_536
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}").st_uid >= first:
                    found.append(pid)
            except FileNotFoundError:
                pass
        return found


if __name__ == "__main__":
    unittest.main(verbosity=2)
