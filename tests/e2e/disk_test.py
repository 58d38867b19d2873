#!/usr/bin/env python3
"""The coordinator's disk fills up under `germline up`, or the worker's: nothing dies, no iteration is
lost by it, it is told, and once there is room all goes on by itself.

Usage: disk_test.py GERMLINE_BINARY. Needs root: the disk is a small tmpfs. What it starts it ends.
"""
import json
import os
import subprocess
import sys
import time
import unittest

from fleet import Fleet, children, iterations_of

GERMLINE = sys.argv.pop(1)
DISK_MIB = 96


class FullDisk(unittest.TestCase):
    """Of one of the two."""
    whose = None

    def setUp(self):
        self.fleet = Fleet(GERMLINE)
        self.disk = os.path.join(self.fleet.state, self.whose)
        os.makedirs(self.disk)
        os.chmod(self.fleet.state, 0o711)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", self.disk],
                       check=True)
        self.addCleanup(self.fleet.stop)  # the last
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)
        self.addCleanup(self.end_up)
        self.fleet.start()

    def end_up(self):
        up = self.fleet.processes.get("up")
        if up is None:
            return
        up.terminate()
        try:
            up.wait(60)
        except subprocess.TimeoutExpired:
            up.kill()
            up.wait()

    def fill(self):
        with open(os.path.join(self.disk, "ballast"), "wb", buffering=0) as file:
            for piece in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * piece)
                except OSError:
                    pass

    def make_room(self):
        os.remove(os.path.join(self.disk, "ballast"))

    def listed(self):
        """What `ps` says on stderr; none while it fails."""
        done = self.fleet.call("ps", check=False)
        return done.stderr if done.returncode == 0 else None


class FullDiskOfTheCoordinator(FullDisk):
    whose = "coordinator"

    def coordinator(self):
        def command_of(pid):
            with open(f"/proc/{pid}/cmdline", "rb") as words:
                return words.read().split(b"\0")[1:2]
        return [pid for pid in children(self.fleet.processes["up"].pid)
                if command_of(pid) == [b"coordinator"]]

    def test_a_run_goes_on_when_there_is_room_again(self):
        fleet = self.fleet
        before = self.coordinator()
        self.assertEqual(len(before), 1)
        run = fleet.run(fleet.genome("evolve", "agent 2\n"), 4)
        fleet.wait(lambda: iterations_of(fleet.tree(run)), "an iteration has begun")
        self.fill()

        fleet.wait(lambda: "MiB left" in (self.listed() or ""), "ps says that the disk is full", 20)
        time.sleep(25)  # longer than it took `up` to give a dying coordinator up
        self.assertIsNone(fleet.processes["up"].poll(), fleet.logs())
        self.assertEqual(self.coordinator(), before, fleet.logs())
        self.assertIn("MiB left: nothing is leased", fleet.logs())
        story = json.dumps(fleet.tree(run), indent=1)
        for each in iterations_of(fleet.tree(run)):
            self.assertIn(each["ending"], ("ENDING_UNSPECIFIED", "ENDING_EVOLVED"), story)
        self.make_room()
        tree, ended = fleet.settled(run, 4, 150)
        story = json.dumps(tree, indent=1) + fleet.logs()
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 4, story)
        self.assertEqual(self.coordinator(), before, story)
        self.assertNotIn("MiB left", self.listed())

    def test_a_coordinator_that_dies_meanwhile_comes_back_when_there_is_room(self):
        fleet = self.fleet
        fleet.settled(fleet.run(fleet.genome("evolve"), 1), 1)
        before = self.coordinator()
        self.fill()
        os.kill(before[0], 9)
        time.sleep(25)
        self.assertIsNone(fleet.processes["up"].poll(), fleet.logs())
        self.make_room()
        fleet.await_worker()
        again = fleet.run(fleet.genome("evolve"), 1)
        tree, ended = fleet.settled(again, 1)
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"],
                         json.dumps(tree, indent=1) + fleet.logs())


class FullDiskOfTheWorker(FullDisk):
    whose = "worker"

    def test_no_iteration_is_lost_by_it(self):
        fleet = self.fleet
        run = fleet.run(fleet.genome("evolve", "agent 2\n"), 3)
        fleet.wait(lambda: iterations_of(fleet.tree(run)), "an iteration has begun")
        self.fill()
        fleet.wait(lambda: "is leased nothing: its disk" in (self.listed() or ""),
                   "ps says that the worker's disk is full", 20)
        founding = fleet.run(fleet.genome("evolve"), 1)  # begun without room
        time.sleep(10)  # three attempts took less
        for tree in (fleet.tree(run), fleet.tree(founding)):
            for each in tree["iterations"]:
                self.assertIn(each["ending"], ("ENDING_UNSPECIFIED", "ENDING_EVOLVED"),
                              json.dumps(tree, indent=1) + fleet.logs())
        waiting = fleet.tree(founding)["iterations"][0]
        self.assertIn("its disk", waiting["waits_for"])
        self.make_room()
        for each, iterations in ((run, 3), (founding, 1)):
            tree, ended = fleet.settled(each, iterations, 100)
            self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * iterations,
                             json.dumps(tree, indent=1) + fleet.logs())
        self.assertNotIn("is leased nothing", self.listed())


if __name__ == "__main__":
    unittest.main(verbosity=2)
