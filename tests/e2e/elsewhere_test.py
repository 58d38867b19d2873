#!/usr/bin/env python3
"""Several machines: coordinator, two workers and a person on hosts of their own, on a wire that is
slow, loses frames and is cut, with processes that are stopped and killed, and with certificates
that are foreign, revoked and renewed. Nothing may be lost, nothing happen twice.

Usage: elsewhere_test.py GERMLINE_BINARY. Needs root and /dev/net/tun. What it starts it ends, by
pid.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

import wire
from fleet import iterations_of
from fleet_elsewhere import WORKERS, FleetElsewhere, timed

GERMLINE = sys.argv.pop(1)
LEASE_S, GUARD_S = 20, 5
MARGIN_S = 3  # for what is not a promise: a command's start, a busy machine
BIG = 3_000_000  # bytes
SLOW = {"delay_ms": 40, "jitter_ms": 10, "loss": 0.02}


class Elsewhere(unittest.TestCase):
    """The cases in the order of their names, on one fleet: starting one takes longer than most."""

    @classmethod
    def setUpClass(cls):
        cls.measured = []
        cls.fleet = FleetElsewhere(GERMLINE)
        cls.addClassCleanup(cls.fleet.stop)
        cls.fleet.start()

    @classmethod
    def tearDownClass(cls):
        for what, seconds in cls.measured:
            print(f"  {what}: {seconds:.2f} s", flush=True)

    @contextlib.contextmanager
    def case(self, what):
        began = time.monotonic()
        yield
        print(f"  {what}: {time.monotonic() - began:.1f} s", flush=True)

    # What the cases share

    def story(self, run):
        return json.dumps(self.fleet.tree(run), indent=1) + self.fleet.logs()

    def evolves(self, run, iterations, attempts=("ATTEMPT_STATE_FINISHED",), seconds=60):
        """All of the run evolves, the first iteration by these attempts, and record and branch
        agree; returns the tree."""
        tree, ended = self.fleet.settled(run, iterations, seconds)
        story = self.story(run)
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * iterations, story)
        self.assertEqual([a["state"] for a in ended[0]["attempts"]], list(attempts), story)
        self.is_whole(tree)
        return tree

    def is_whole(self, tree):
        """Nothing was born twice, and the branch is the record, forwards only."""
        fleet = self.fleet
        born, lineage = tree["generations"], tree["run"]["lineages"][0]["lineage_id"]
        self.assertEqual([int(g["depth"]) for g in born], list(range(len(born))), tree)
        self.assertEqual([g["parent"] for g in born[1:]], [g["generation_id"] for g in born[:-1]])
        branch = f"refs/heads/lineages/{lineage}"
        head = born[-1]["commit"]
        fleet.wait(lambda: self.objects("rev-parse", branch).strip() == head, "the branch follows")
        commits = self.objects("rev-list", "--first-parent", branch).split()
        self.assertEqual(commits[:len(born)], [g["commit"] for g in reversed(born)])

    def objects(self, *words):
        return subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", self.fleet.state + "/objects.git", *words],
            check=True, capture_output=True, text=True).stdout

    def kill_measured(self, run, what, seconds):
        """A kill whose proof is a worker's word; by then nothing of it runs."""
        holder = self.fleet.running(run)
        began = time.monotonic()
        killed = self.fleet.asked("kill", run)
        took = time.monotonic() - began
        self.assertEqual(self.fleet.sandboxes_on(holder), [], self.story(run))
        self.assertEqual([k["proof"] for k in killed["lineages"]], ["KILL_PROOF_KILLED"],
                         self.story(run))
        self.assertLess(took, seconds, self.story(run))
        self.measured.append((f"killed, {what}", took))

    def heard_again(self, name, since, after):
        took_s = timed(lambda: self.fleet.heard_since(name, since), self.fleet,
                       f"{name} is heard", 40)
        self.measured.append((f"{after}, worker heard", took_s))

    def both_work(self):
        """Two lineages at once, so that each worker gets one."""
        fleet = self.fleet
        run = fleet.asked("run", fleet.genome("evolve", "agent 2\n"), "--lineages", "2",
                          "--iterations", "1")["run_id"]
        tree, ended = fleet.settled(run, 2)
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2, self.story(run))
        took_part = {a["worker_id"] for i in ended for a in i["attempts"]}
        self.assertEqual(took_part, set(fleet.worker_ids.values()), self.story(run))

    # The cases

    def test_1_a_run_from_the_persons_host(self):
        fleet = self.fleet
        with self.case("a run from the person's host, followed, looked at and promoted"):
            genome = fleet.genome()
            run = fleet.run(genome, 2)
            following = fleet.go_on("logs", "-f", run)
            self.addCleanup(following.stdout.close)
            self.addCleanup(following.stderr.close)
            tree = self.evolves(run, 2)
            told, _ = following.communicate(timeout=10)
            self.assertEqual(following.returncode, 0, told)
            self.assertIn("evolved", told)
            self.assertIn("evolved", fleet.call("tree", run).stdout)
            newest = tree["generations"][-1]
            self.assertIn("+2 4", fleet.call("diff", newest["generation_id"]).stdout)
            fleet.call("promote", run, "--branch", "evolved")
            brought = subprocess.run(["git", "-C", genome, "rev-parse", "evolved"], check=True,
                                     capture_output=True, text=True).stdout.strip()
            self.assertEqual(brought, newest["commit"])
        for name in ("coordinator", *WORKERS):  # the hosts are apart
            seen = fleet.hosts[name].run(["ls", fleet.network.root]).stdout.split()
            self.assertEqual(seen, [fleet.hosts[name].name])
            self.assertNotEqual(fleet.hosts[name].run(["test", "-e", genome]).returncode, 0)

    def test_2_a_coordinator_killed_while_a_worker_runs(self):
        fleet = self.fleet
        with self.case("the coordinator killed and started again"):
            run = fleet.run(fleet.genome("evolve", "agent 4\n"))
            holder = fleet.running(run)
            fleet.end("coordinator", signal.SIGKILL)
            back = time.time()
            fleet.start_coordinator()
            self.heard_again(holder, back, "coordinator started again")
            self.evolves(run, 1)

    def test_3_a_kill_of_what_is_cut_off(self):
        # While the lease of that runs out, everything else goes on with the other worker.
        fleet = self.fleet
        with self.case("a kill of what is cut off, and all until both work again"):
            run = fleet.run(fleet.genome("hang"))
            cut_off = fleet.running(run)
            fleet.network.cut(cut_off)
            self.addCleanup(fleet.network.mend, cut_off)
            killing = fleet.go_on("kill", run, "--json")
            self.addCleanup(killing.stdout.close)
            self.addCleanup(killing.stderr.close)
            left = []
            proved = threading.Thread(
                target=lambda: (killing.wait(), left.extend(fleet.sandboxes_on(cut_off))))
            proved.start()
            with self.a_worker_of_another_authority():
                self.strangers_are_refused()
                self.kills_while_connected()
                self.evolves_over_a_slow_wire()
                self.assertEqual({w["worker_id"] for w in fleet.workers()},
                                 set(fleet.worker_ids.values()))
            proved.join(60)
            told, why = killing.communicate(timeout=1)
            self.assertEqual(left, [], self.story(run))
            self.assertEqual(killing.returncode, 0, why)
            (killed,) = json.loads(told)["lineages"]
            self.assertEqual(killed["proof"], "KILL_PROOF_LEASE_EXPIRED", self.story(run))
            took_s = int(killed["took_ms"]) / 1000
            self.assertLess(took_s, LEASE_S + GUARD_S + MARGIN_S)
            self.measured.append(("killed, cut off", took_s))
            before = fleet.tree(run)
            mended = time.time()
            fleet.network.mend(cut_off)
            self.heard_again(cut_off, mended, "wire mended after a lease")
            self.both_work()
            self.assertEqual(fleet.tree(run), before)

    def kills_while_connected(self):
        with self.case("kills while connected"):
            for behaviour in ("hang", "fork-bomb"):
                self.kill_measured(self.fleet.run(self.fleet.genome(behaviour)),
                                   f"connected ({behaviour})", 5)

    def evolves_over_a_slow_wire(self):
        fleet = self.fleet
        with self.case("three iterations and a kill over 40 ms, with jitter and 2 % loss"):
            fleet.network.shape(**SLOW)
            self.addCleanup(fleet.network.shape)
            before = fleet.network.counts()
            run = fleet.run(fleet.genome(), 3)
            tree = self.evolves(run, 3, seconds=90)
            for iteration in iterations_of(tree):
                self.assertEqual([a["state"] for a in iteration["attempts"]],
                                 ["ATTEMPT_STATE_FINISHED"], self.story(run))
            self.kill_measured(fleet.run(fleet.genome("hang")), "over 40 ms, 2 % loss", 5)
            self.assertGreater(fleet.network.counts()["lost"], before["lost"])
            fleet.network.shape()

    def test_4_a_worker_stopped_past_its_lease(self):
        # While the lease runs out, the coordinator is cut off for less than one from the other.
        fleet = self.fleet
        with self.case("a worker stopped past its lease, and woken"):
            run = fleet.run(fleet.genome("evolve", "agent 3\n"))
            holder = fleet.running(run)
            node, zygote = fleet.processes[holder], fleet.zygote_of(holder)
            node.send_signal(signal.SIGSTOP)
            self.addCleanup(node.wake)
            stopped = time.time()
            time.sleep(1)
            os.kill(zygote, signal.SIGSTOP)  # so that only the supervisor is left to keep the lease
            self.addCleanup(os.kill, zygote, signal.SIGCONT)
            self.evolves_although_cut_off()
            tree = self.evolves(run, 1, ("ATTEMPT_STATE_LOST", "ATTEMPT_STATE_FINISHED"))
            first, second = iterations_of(tree)[0]["attempts"]
            self.assertEqual([a["worker_id"] for a in (first, second)],
                             [fleet.worker_ids[n] for n in (holder, fleet.other(holder))])
            took_s = int(first["ended_ms"]) / 1000 - stopped
            self.assertLess(took_s, LEASE_S + GUARD_S + MARGIN_S)
            self.measured.append(("worker stopped, its item free for another", took_s))
            self.assertEqual(fleet.sandboxes_on(holder), [])
            os.kill(zygote, signal.SIGCONT)
            woken = time.time()
            node.wake()
            self.heard_again(holder, woken, "stopped worker woken")
            time.sleep(1)  # for late words
            self.assertEqual(fleet.tree(run), tree)
            self.is_whole(tree)

    def evolves_although_cut_off(self):
        fleet = self.fleet
        with self.case("the coordinator cut off for 10 s, in one attempt"):
            run = fleet.run(fleet.genome("evolve", "agent 6\n"))
            holder = fleet.running(run)
            fleet.network.cut("coordinator")
            self.addCleanup(fleet.network.mend, "coordinator")
            time.sleep(10)
            mended = time.time()
            fleet.network.mend("coordinator")
            self.heard_again(holder, mended, "wire mended after 10 s")
            self.evolves(run, 1)

    @contextlib.contextmanager
    def a_worker_of_another_authority(self):
        """It believes the coordinator, dials for as long as this lasts, and is told nothing."""
        fleet, host = self.fleet, self.fleet.person
        foreign, shown = host.folder + "/other-fleet", host.folder + "/other-worker"
        for words in (["init"], ["issue", "worker", "gpu-2", "--out", shown]):
            done = host.run([GERMLINE, "pki", *words, "--pki-dir", foreign])
            self.assertEqual(done.returncode, 0, done.stderr)
        fleet.believe_coordinator(shown)
        fleet.start_foreign_worker(shown)
        yield
        fleet.end("stranger")
        self.assertIn("gpu-2 serves", fleet.logs())

    def strangers_are_refused(self):
        """Without a certificate, with one of another authority, and with a worker's."""
        with self.case("strangers refused"):
            fleet, person = self.fleet, self.fleet.person
            foreign, shown = person.folder + "/foreign", person.folder + "/shown"

            def call(folder):
                return fleet.call("ps", "--coordinator", fleet.public, *folder, check=False,
                                  home=person.folder + "/nobody")
            nobody = call([])
            self.assertEqual(nobody.returncode, 5, nobody.stderr)
            self.assertIn("germline login", nobody.stderr)
            for words in (["init"], ["issue", "person", "ann", "--out", shown]):
                done = person.run([GERMLINE, "pki", *words, "--pki-dir", foreign])
                self.assertEqual(done.returncode, 0, done.stderr)
            stranger = call(["--tls-dir", shown])  # believes another coordinator
            self.assertEqual((stranger.returncode, stranger.stdout), (4, ""), stranger.stderr)
            fleet.believe_coordinator(shown)
            stranger = call(["--tls-dir", shown])  # believes this one, and is not believed
            self.assertEqual((stranger.returncode, stranger.stdout), (4, ""), stranger.stderr)
            a_worker = fleet.hosts["coordinator"].folder + "/a-worker"
            fleet.pki("issue", "worker", "gpu-1", "--out", a_worker)
            subprocess.run(["cp", "-r", a_worker, person.folder], check=True)
            worker = call(["--tls-dir", person.folder + "/a-worker"])
            self.assertEqual((worker.returncode, worker.stdout), (5, ""), worker.stderr)
            self.assertIn("a worker's certificate (gpu-1) is not for this", worker.stderr)
            fleet.pki("revoke", "gpu-1")  # nobody is to wait for its renewal

    def test_5_transfers_that_break_off(self):
        """The coordinator is killed while a worker fetches from it, and again while it puts."""
        fleet = self.fleet
        with self.case("transfers that break off, and go on"):
            fleet.network.shape(kbit=8 * BIG // 3000)  # three seconds for what is big
            self.addCleanup(fleet.network.shape)
            run = fleet.run(self.big_genome(), 2)
            for phase in ("PREPARING", "REPORTING"):
                fleet.wait(lambda: self.founding_of(run)["phase"] == f"ITERATION_PHASE_{phase}",
                           f"the founding is {phase}", 60, every=0.1)
                time.sleep(1)
                fleet.end("coordinator", signal.SIGKILL)
                fleet.start_coordinator()
            tree = self.evolves(run, 2)
            founding = self.founding_of(run)
            self.assertEqual([a["state"] for a in founding["attempts"]],
                             ["ATTEMPT_STATE_FINISHED"], self.story(run))
            # What was fetched is the same once more; of what was put the coordinator kept nothing.
            self.check_moved("founded", founding, (1, 1.2), (1, 2.2))
            been_on = {founding["attempts"][0]["worker_id"]}
            for number, iteration in enumerate(iterations_of(tree), 1):
                worker = iteration["attempts"][0]["worker_id"]
                warm = worker in been_on
                been_on.add(worker)
                self.check_moved(f"iteration {number}, {'warm' if warm else 'cold'}", iteration,
                                 (0, 0.02) if warm else (2, 2.2), (1, 1.2))

    def check_moved(self, what, item, fetched, put):
        """Between how many times the big file's size were moved."""
        for way, (least, most) in (("fetched", fetched), ("put", put)):
            size = int(item["usage"][f"{way}_bytes"])
            self.assertGreaterEqual(size, least * BIG, what)
            self.assertLessEqual(size, most * BIG, what)
            print(f"  {what}: {size} bytes {way}", flush=True)

    def founding_of(self, run):
        tree = self.fleet.tree(run)
        found = [i for i in tree["iterations"] if i["kind"] == "WORK_KIND_FOUND"] if tree else []
        return found[0] if found else {"phase": ""}

    def big_genome(self):
        """With a file that cannot be packed, in its history and in its artefacts."""
        place = self.fleet.genome()
        with open(place + "/big", "wb") as file:
            file.write(os.urandom(BIG))
        for name, old, new in (("genome.toml", '["build/evolve"]', '["build/evolve", "build/big"]'),
                               ("build.sh", "chmod 755", "cp big build/big\nchmod 755")):
            with open(f"{place}/{name}") as file:
                text = file.read()
            self.assertIn(old, text)
            self.fleet.write(place, name, text.replace(old, new))
        self.fleet.commit(place, "big")
        return place

    def test_6_revoked_and_renewed(self):
        # The authority's key is rotated while a revoked worker's lease runs out.
        fleet = self.fleet
        with self.case("a worker revoked, and its item with the other"):
            run = fleet.run(fleet.genome("evolve", "agent 2\n"))
            revoked = fleet.running(run)
            began = time.time()
            fleet.pki("revoke", fleet.worker_ids[revoked], "--why", "a test")
            fleet.wait(lambda: not any(w["connected"] for w in fleet.workers()
                                       if w["worker_id"] == fleet.worker_ids[revoked]),
                       "its stream has ended", 12)
            self.measured.append(("revoked, stream ended", time.time() - began))
            self.revoked_person_is_refused()
            self.rotates(fleet.other(revoked))
            tree = self.evolves(run, 1, ("ATTEMPT_STATE_LOST", "ATTEMPT_STATE_FINISHED"))
            lost = iterations_of(tree)[0]["attempts"][0]
            self.assertLess(int(lost["ended_ms"]) / 1000 - began, LEASE_S + GUARD_S + 5 + MARGIN_S)

    def revoked_person_is_refused(self):
        fleet = self.fleet
        with self.case("a person revoked"):
            bob = fleet.person.folder + "/bob"
            fleet.log_in(bob, "bob")
            fleet.call("ps", home=bob)
            fleet.pki("revoke", "bob")
            refused = fleet.call("ps", check=False, home=bob)
            self.assertEqual((refused.returncode, refused.stdout), (5, ""), refused.stderr)
            self.assertIn("revoked", refused.stderr)

    def rotates(self, name):
        """The authority's key changes under a worker that is joined."""
        fleet = self.fleet
        with self.case("the authority's key rotated"):
            folder = fleet.state_of(name) + "/tls"

            def text(file):
                with open(f"{folder}/{file}") as opened:
                    return opened.read()
            before = text("tls.crt")
            fleet.pki("rotate")
            fleet.end(name)
            again = time.time()
            fleet.start_worker(name)
            fleet.wait(lambda: text("tls.crt") != before, "its certificate is renewed", 20)
            fleet.wait(lambda: fleet.heard_since(name, again), "it has joined", 20)
            new = fleet.person.folder + "/ann-again"
            fleet.log_in(new, "ann")
            fleet.call("ps", home=new)
            fleet.call("ps")  # the former one is still believed
            fleet.pki("rotate", "--finish")
            finished = time.time()
            former, fleet.home = fleet.home, new
            fleet.wait(lambda: fleet.call("ps", check=False).returncode == 0,
                       "the new one holds", 10)
            fleet.wait(lambda: fleet.call("ps", check=False, home=former).returncode == 4,
                       "the former one is refused", 10)
            self.heard_again(name, finished, "rotation finished")


def can_make_wires():
    try:
        os.close(os.open(wire.TUN, os.O_RDWR))
    except OSError as missing:
        print(f"skipped: wires between hosts are made of TAP devices, and {missing}", flush=True)
        return False
    return True


if __name__ == "__main__":
    if not can_make_wires():
        sys.exit(77)  # for ctest: skipped, and told so
    unittest.main(verbosity=2)
