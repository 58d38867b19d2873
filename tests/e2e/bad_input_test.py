#!/usr/bin/env python3
"""What people get wrong, from end to end: each gets an error that names what was wrong and what
would be right, stops nothing but itself, and nothing is lost.

Usage: bad_input_test.py GERMLINE_BINARY. Needs root. What it starts it ends, by pid.
"""
import json
import os
import socket
import subprocess
import sys
import unittest

from fleet import Fleet, free_port

GERMLINE = sys.argv.pop(1)
FAILED, USAGE, NOT_FOUND = 1, 2, 3


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet(GERMLINE)
        cls.addClassCleanup(cls.fleet.stop)
        cls.fleet.start()

    def tearDown(self):
        """Whatever a test gave it, the coordinator goes on, in the same process."""
        up = self.fleet.processes["up"].pid
        self.assertIsNone(self.fleet.processes["up"].poll(), self.fleet.logs())
        self.assertNotIn("it is started again", self.fleet.logs())
        self.assertTrue(os.path.exists(f"/proc/{up}"))

    def changed_genome(self, **files):
        """The two-second genome with files put in place (None: deleted)."""
        place = self.fleet.genome()
        for name, text in files.items():
            name = name.replace("__", "/").replace("_DOT_", ".")
            if text is None:
                os.remove(os.path.join(place, name))
            else:
                self.fleet.write(place, name, text)
        self.fleet.commit(place, "changed")
        return place

    def edited(self, place, name, old, new):
        with open(os.path.join(place, name)) as file:
            text = file.read()
        self.assertIn(old, text)
        self.fleet.write(place, name, text.replace(old, new))
        self.fleet.commit(place, "edited " + name)
        return place

    def is_refused_at_once(self, *words, says, code=USAGE):
        """No run comes of it, and the message has each word of `says`."""
        before = self.fleet.asked("ps")
        done = self.fleet.call("run", *words, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        for word in says:
            self.assertIn(word, done.stderr)
        self.assertLess(len(done.stderr.splitlines()), 8, done.stderr)
        self.assertEqual(self.fleet.asked("ps"), before)

    def seed_is_refused(self, place, says):
        """The run is there and says why; its lineage is retired, and nothing was born. The reason."""
        done = self.fleet.call("run", place, "--iterations", "1", "--follow", check=False)
        self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
        for word in says:
            self.assertIn(word, done.stderr)
        tree = self.fleet.asked("tree")
        self.assertEqual(tree["run"]["found_state"], "refused")
        self.assertEqual(tree["generations"], [])
        self.assertEqual(tree["run"]["lineages"][0]["state"], "LINEAGE_STATE_RETIRED")
        self.assertIn("the seed was refused", self.fleet.call("tree").stdout)
        for word in says:
            self.assertIn(word, tree["run"]["found_details"])
        return tree["run"]["found_details"]

    def test_no_such_folder(self):
        self.is_refused_at_once("/no/such/folder", says=["/no/such/folder"], code=NOT_FOUND)

    def test_a_folder_that_is_no_repository(self):
        place = os.path.join(self.fleet.root, "plain")
        os.makedirs(place)
        self.is_refused_at_once(place, says=[place, "git repository"])

    def test_an_empty_repository(self):
        place = os.path.join(self.fleet.root, "empty")
        subprocess.run(["git", "init", "-q", "-b", "main", place], check=True)
        self.is_refused_at_once(place, says=[place, "no commit"])

    def test_a_missing_branch(self):
        self.is_refused_at_once(self.fleet.genome(), "--branch", "mian", says=["mian", "main"])

    def test_a_repository_without_a_genome(self):
        self.is_refused_at_once(self.changed_genome(genome_DOT_toml=None),
                                says=["genome.toml", "main"])

    def test_a_genome_in_another_folder_than_said(self):
        self.is_refused_at_once(self.fleet.genome(), "--folder", "agents/one",
                                says=["agents/one/genome.toml"])

    def test_a_manifest_that_is_no_toml(self):
        place = self.edited(self.fleet.genome(), "genome.toml", "[agent]", "[agent")
        self.is_refused_at_once(place, says=["genome.toml:8"])

    def test_an_unknown_key_in_the_manifest(self):
        place = self.edited(self.fleet.genome(), "genome.toml", "artefact =", "artifact =")
        self.is_refused_at_once(place, says=["artifact", "artefact", "genome.toml:10"])

    def test_a_path_that_leaves_the_genome(self):
        place = self.edited(self.fleet.genome(), "genome.toml", '["build/evolve"]',
                            '["../../etc/passwd"]')
        self.is_refused_at_once(place, says=["../../etc/passwd", "genome.toml:10"])

    def test_a_context_that_is_no_json(self):
        place = self.changed_genome(agent_context_DOT_json='{"goalState": ')
        self.is_refused_at_once(place, says=["agent_context.json", "JSON"])

    def test_a_context_with_a_malformed_entry(self):
        place = self.changed_genome(agent_context_DOT_json=json.dumps(
            {"goalState": "g", "history": [{"action": "a"}]}))
        self.is_refused_at_once(place, says=["agent_context.json", "history entry 0", "timestamp"])

    def test_a_context_nested_without_end(self):
        place = self.changed_genome(agent_context_DOT_json="[" * 200_000)
        self.is_refused_at_once(place, says=["agent_context.json", "deeper"])

    def test_an_unbuildable_seed(self):
        place = self.changed_genome(build_DOT_sh="echo no compiler here >&2\nexit 3\n")
        self.seed_is_refused(place, says=["no compiler here", "exit code 3"])

    def test_a_seed_that_builds_no_artefact(self):
        self.seed_is_refused(self.changed_genome(build_DOT_sh="exit 0\n"), says=["build/evolve"])

    def test_a_seed_whose_own_tests_are_red(self):
        why = self.seed_is_refused(self.changed_genome(table="0 1\n"), says=["table_is_right"])
        self.assertEqual(why.count("own.table_is_right: failed"), 1, why)

    def test_a_seed_whose_tests_leave_no_report(self):
        why = self.seed_is_refused(self.changed_genome(test_DOT_sh="exit 0\n"),
                                   says=["there is no test report at 'build/junit.xml'"])
        self.assertEqual(why.count("there is no test report"), 1, why)

    def test_a_seed_without_protected_tests(self):
        place = self.changed_genome(protected__run="#!/bin/sh\nexit 0\n")
        self.seed_is_refused(place, says=["protected"])

    def test_a_seed_that_fails_probation(self):
        place = self.edited(self.fleet.genome(), "evolve.sh", '"") iterate ;;', '"") exit 9 ;;')
        self.seed_is_refused(place, says=["exit code 9"])

    def with_heavy_tree(self, paths, blob_bytes):
        """A genome one of whose blobs stands at so many paths, without checking it out."""
        place = self.fleet.genome()

        def git(*words, given=b""):
            return subprocess.run(["git", "-C", place, "-c", "user.name=t", "-c", "user.email=t@t",
                                   *words], input=given, check=True,
                                  capture_output=True).stdout.decode().strip()
        blob = git("hash-object", "-w", "--stdin", given=bytes(blob_bytes))
        names = "".join(f"100644 blob {blob}\tf{i}\n" for i in range(paths))
        heavy = git("mktree", given=names.encode())
        root = git("ls-tree", "HEAD") + f"\n040000 tree {heavy}\theavy\n"
        commit = git("commit-tree", git("mktree", given=root.encode()), "-p", "HEAD", "-m", "heavy")
        git("update-ref", "HEAD", commit)
        return place

    def test_a_seed_that_is_huge_when_it_is_checked_out(self):
        self.is_refused_at_once(self.with_heavy_tree(2_000, 15_000_000),
                                says=["checked out", "300000", "at most 1073741824"])

    def test_a_seed_that_does_not_fit_into_its_workspace(self):
        place = self.edited(self.fleet.genome(), "genome.toml", "[sandbox]",
                            '[sandbox]\ndisk = "16MiB"')
        self.fleet.write(place, "large", "x" * (20 << 20))
        self.fleet.commit(place, "more than fits")
        self.seed_is_refused(place, says=["does not fit", "unable to write file large"])

    def test_an_agent_that_breaks_its_context_loses_nothing_of_it(self):
        run = self.fleet.run(self.fleet.genome("break-context 2"), 2)
        tree, ended = self.fleet.settled(run, 2)
        story = json.dumps(tree, indent=1) + self.fleet.logs()
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED", "ENDING_REJECTED"], story)
        self.assertEqual(ended[1]["reason"], "context")
        context = json.loads(self.fleet.asked("show", ended[1]["item_id"])["context_json"])
        self.assertEqual([e["result"] for e in context["history"]], ["success", "failure"])
        self.assertIn("JSON", context["history"][1]["details"])
        self.assertNotEqual(context["goalState"], "forget")

    def test_a_state_folder_that_was_made_with_other_uids_is_left_as_it_is(self):
        state = os.path.join(self.fleet.root, "others-state")
        os.makedirs(state + "/coordinator")
        os.chown(state + "/coordinator", 7_000_003, 7_000_001)
        done = subprocess.run(
            [GERMLINE, "up", "--state-dir", state, "--coordinator",
             f"unix:{self.fleet.root}/others/germline/control.sock"],
            env={**os.environ, "GERMLINE_UID_BASE": "2000000000"}, capture_output=True, text=True,
            timeout=30)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("was made with uid_base 7000000, and it is 2000000000 now", done.stderr)
        self.assertEqual(os.stat(state + "/coordinator").st_uid, 7_000_003)
        self.assertEqual(os.listdir(state), ["coordinator"])

    def test_a_coordinator_out_of_descriptors_ends_instead_of_answering_nobody(self):
        state, port = os.path.join(self.fleet.root, "flooded"), free_port()
        log = os.path.join(self.fleet.root, "flooded.txt")
        with open(log, "wb") as told:
            flooded = subprocess.Popen(
                ["prlimit", "--nofile=80:80", GERMLINE, "coordinator", "--listen",
                 f"127.0.0.1:{port}", "--state-dir", state], stdout=told, stderr=told)
        self.addCleanup(flooded.kill)
        idle = []
        self.addCleanup(lambda: [each.close() for each in idle])

        def ended():
            try:
                idle.append(socket.create_connection(("127.0.0.1", port), timeout=1))
            except OSError:  # not yet there, or no longer
                pass
            return flooded.poll() is not None
        self.fleet.wait(ended, "it ends", 60, every=0.02)
        self.assertEqual(flooded.returncode, FAILED)
        with open(log) as told:
            self.assertIn("this coordinator ends, to be started again", told.read())

    def test_after_all_this_a_good_run_evolves(self):
        run = self.fleet.run(self.fleet.genome(), 1)
        tree, ended = self.fleet.settled(run, 1)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED", json.dumps(tree, indent=1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
