#!/usr/bin/env python3
"""`germline up --detach` and `germline down`: what has returned holds, and leaves nothing behind.

Usage: up_test.py GERMLINE_BINARY. Needs root. What it starts it ends.
"""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import unittest

from fleet import Fleet, UID_BASE, children, free_port

GERMLINE = sys.argv.pop(1)


def lives(pid):
    """Whether it has not ended; who reaps what was detached may be slow."""
    try:
        return text_of(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def text_of(path):
    with open(path) as file:
        return file.read()


def cgroups():
    """Those of workers with this test's uids, below any cgroup of the machine."""
    return set(glob.glob(f"/sys/fs/cgroup/**/germline/{UID_BASE}", recursive=True))


def prices_of(folder):
    """A good price file there, that every account can read."""
    path = folder + "/prices.json"
    shutil.copy(os.path.dirname(os.path.abspath(__file__)) + "/../../deploy/prices.json", path)
    os.chmod(path, 0o644)
    return path


class Up(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(GERMLINE)
        os.makedirs(self.fleet.state)
        self.addCleanup(self.fleet.stop)
        self.addCleanup(self.germline, "down", "--state-dir", self.fleet.state)

    def germline(self, *words, uid_base=UID_BASE):
        return subprocess.run([GERMLINE, *words], capture_output=True, text=True, timeout=150,
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, "GERMLINE_UID_BASE": str(uid_base)})

    def up(self, *words):
        return self.germline("up", "--detach", "--state-dir", self.fleet.state, "--coordinator",
                             self.fleet.address, *words)

    def test_detached_it_runs_when_it_returns_and_is_gone_when_down_returns(self):
        before = cgroups()  # of another run, which was killed
        fleet = self.fleet
        up = self.up()
        self.assertEqual(up.returncode, 0, up.stderr + fleet.logs())
        pid = int(up.stdout)
        fleet.call("ps", "--workers", "--joined")
        self.assertEqual(text_of(fleet.state + "/up.pid"), f"{pid}\n")

        refused = self.up()
        self.assertEqual(refused.returncode, 5, refused.stderr)
        self.assertEqual(text_of(fleet.state + "/up.pid"), f"{pid}\n")

        # Nor does one with other folders and uids take the socket from under it.
        second = self.germline("up", "--detach", "--state-dir", fleet.root + "/second",
                               "--coordinator", fleet.address, uid_base=UID_BASE + 10_000_000)
        self.assertEqual(second.returncode, 5, second.stderr)
        self.assertIn("another coordinator listens on", second.stderr)
        self.assertEqual(os.listdir(fleet.root + "/second"), [])
        # Nor is the folder of one with the same uids marked by them: with others it goes.
        third = self.germline("up", "--detach", "--state-dir", fleet.root + "/third",
                              "--coordinator", f"unix:{fleet.root}/third-run/germline/c.sock")
        self.assertEqual(third.returncode, 5, third.stderr)
        self.assertIn("uses the uids from", third.stderr)
        self.assertEqual(os.listdir(fleet.root + "/third"), [])
        fleet.call("ps", "--workers", "--joined")

        services = children(pid)
        self.assertEqual(len(services), 2)
        os.kill(services[0], signal.SIGKILL)  # the coordinator: its socket is dead, and taken over
        fleet.wait(lambda: fleet.call("ps", "--workers", "--joined", check=False).returncode == 0,
                   "the next coordinator is there")
        os.kill(services[1], signal.SIGKILL)
        log = fleet.state + "/logs/up.log"
        fleet.wait(lambda: "ended with signal 9; it is started again" in text_of(log),
                   "up.log tells it")
        services = children(pid)
        down = self.germline("down", "--state-dir", fleet.state)
        self.assertEqual(down.returncode, 0, down.stderr)
        self.assertFalse(lives(pid))
        self.assertEqual([service for service in services if lives(service)], [])
        self.assertFalse(os.path.exists(fleet.state + "/up.pid"))
        self.assertEqual(cgroups() - before, set())
        self.assertIn("ended, as it was asked to", text_of(log))
        again = self.germline("down", "--state-dir", fleet.state, "--json")
        self.assertEqual(again.returncode, 3)
        self.assertIn('"code": "not_found"', again.stdout)

    def test_a_worker_that_cannot_start_is_told_with_its_log_and_leaves_nothing(self):
        root = self.fleet.root
        config = root + "/gateway.toml"

        def up_with(more):
            with open(config, "w") as file:
                file.write(f'schema = 1\n[prices]\nfile = "{prices_of(root)}"\n' + more)
            os.chmod(config, 0o644)
            up = self.up("--gateway-config", config)
            self.assertEqual(up.stdout, "")
            self.assertIn("worker ended with", up.stderr)
            self.assertIn("gateway error: ", up.stderr)
            self.assertIn("see " + self.fleet.state + "/logs/worker.log", up.stderr)
            self.assertFalse(os.path.exists(self.fleet.state + "/up.pid"))
            return up
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            up = up_with('[upstream]\nurl = "http://127.0.0.1:9"\n'
                         f'[metrics]\nlisten = "{address}"\n')
        self.assertNotIn(up.returncode, (0, None))
        self.assertIn(address, up.stderr)
        # What a gateway refuses as it begins it would refuse again.
        with open(root + "/recorded.jsonl", "w") as file:
            file.write("no transcript\n")
        up = up_with(f'[upstream]\nreplay = "{root}/recorded.jsonl"\n')
        self.assertEqual(up.returncode, 5, up.stderr)
        self.assertEqual(up.stderr.count("worker ended with"), 1, up.stderr)
        self.assertIn("recorded.jsonl is no transcript", up.stderr)

    def test_a_transcripts_folder_that_the_gateway_cannot_write_is_told_before_anything_starts(self):
        root = self.fleet.root
        os.makedirs(root + "/transcripts")
        os.chmod(root + "/transcripts", 0o755)
        config = root + "/gateway.toml"
        def write(prices):
            with open(config, "w") as file:
                file.write('schema = 1\n[upstream]\nurl = "http://127.0.0.1:9"\n'
                           f'[prices]\nfile = "{prices}"\n'
                           f'[transcripts]\ndirectory = "{root}/transcripts"\n')
        write(prices_of(root))
        up = self.up("--gateway-config", config)
        self.assertEqual(up.returncode, 5, up.stderr)
        gateway = UID_BASE + 2
        self.assertIn(f"runs as uid {gateway}, cannot write its transcripts to {root}/transcripts",
                      up.stderr)
        mends = re.search(r"chown (\d+):(\d+) " + root + "/transcripts", up.stderr)
        self.assertTrue(mends, up.stderr)
        self.assertFalse(os.path.exists(self.fleet.state + "/up.pid"))
        os.chown(root + "/transcripts", int(mends[1]), int(mends[2]))
        write(root + "/missing.json")
        up = self.up("--gateway-config", config)
        self.assertEqual(up.returncode, 3, up.stderr)
        self.assertIn("missing.json", up.stderr)
        self.assertNotIn("worker ended", up.stderr)

    def test_what_root_prepared_for_other_machines_is_the_coordinators_to_use(self):
        fleet = self.fleet
        address = f"127.0.0.1:{free_port()}"
        pki, brought, ann = (f"{fleet.root}/{name}" for name in ("pki", "brought", "ann"))
        down = ("down", "--state-dir", fleet.state)

        def done(*words):
            asked = self.germline(*words)
            self.assertEqual(asked.returncode, 0, asked.stderr + fleet.logs())
            return asked

        def ask_over_tls(credentials):
            done("ps", "--coordinator", f"tls:{address}", "--tls-dir", credentials)

        # An authority in the state folder, which only this makes.
        os.rmdir(fleet.state)
        done("pki", "init", "--state-dir", fleet.state)
        fleet.launch("up", "up", "--state-dir", fleet.state, "--coordinator", fleet.address,
                     "--tls-listen", address)
        fleet.await_worker()
        fleet.wait(lambda: f"over TLS, it listens on {address}" in text_of(fleet.root + "/up.log"),
                   "up tells the address")
        own = f"{fleet.state}/coordinator/pki"
        self.assertEqual(os.stat(own + "/ca.key").st_uid, UID_BASE + 3)
        done("pki", "issue", "person", "ann", "--out", ann, "--state-dir", fleet.state)
        ask_over_tls(ann)
        done(*down)
        fleet.processes.pop("up").wait(30)

        # One that is elsewhere.
        done("pki", "init", "--pki-dir", pki)
        os.chmod(fleet.root, 0o700)
        shut = self.up("--tls-listen", address, "--pki-dir", pki)
        os.chmod(fleet.root, 0o755)
        self.assertEqual(shut.returncode, 5, shut.stderr)
        self.assertIn(f"chmod o+x {fleet.root}", shut.stderr)
        done("pki", "issue", "person", "ann", "--out", ann + "2", "--pki-dir", pki)
        up = self.up("--tls-listen", address, "--pki-dir", pki)
        self.assertEqual(up.returncode, 0, up.stderr + fleet.logs())
        ask_over_tls(ann + "2")
        done(*down)

        # Credentials that only root can read.
        done("pki", "issue", "coordinator", "--out", brought, "--pki-dir", pki)
        wrong = self.up("--tls-listen", address, "--tls-dir", ann)
        self.assertEqual(wrong.returncode, 2, wrong.stderr)
        self.assertIn("a person's", wrong.stderr)
        up = self.up("--tls-listen", address, "--tls-dir", brought)
        self.assertEqual(up.returncode, 0, up.stderr + fleet.logs())
        ask_over_tls(ann + "2")

    def test_several_workers_have_uids_folders_and_logs_of_their_own(self):
        fleet = self.fleet
        up = self.up("--workers", "2", "--tag", "both")
        self.assertEqual(up.returncode, 0, up.stderr + fleet.logs())
        workers = fleet.asked("workers")["workers"]
        self.assertEqual([w["connected"] for w in workers], [True, True], fleet.logs())
        self.assertEqual([w["tags"] for w in workers], [["both"], ["both"]])
        folders = [fleet.state + "/worker", fleet.state + "/worker-2"]
        self.assertEqual([os.stat(folder).st_uid for folder in folders],
                         [UID_BASE + 1, UID_BASE + 8_454_144 + 1])
        for name in ("worker.log", "worker-2.log"):
            self.assertIn("serves", text_of(f"{fleet.state}/logs/{name}"))
        run = fleet.asked("run", fleet.genome("evolve", "agent 2\n"), "--iterations", "2",
                          "--lineages", "2", "--require", "both")["run_id"]
        tree, ended = fleet.settled(run, 4)
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 4,
                         str(tree) + fleet.logs())
        self.assertEqual(len({i["attempts"][-1]["worker_id"] for i in ended}), 2, str(tree))
        self.assertEqual(self.germline("down", "--state-dir", fleet.state).returncode, 0)
        self.assertFalse(glob.glob(fleet.root + "/run/germline/*"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
