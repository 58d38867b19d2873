"""A coordinator, two workers and a person, each on a host of its own (hosts.py), as a Fleet: what a
Fleet's calls ask is asked on the person's host, over TLS, with the credentials of a login.
"""
import json
import os
import shutil
import signal
import subprocess
import time

from fleet import UID_BASE, Fleet, children, iterations_of, name_of, sandbox_pids
from hosts import Network, Service
from sanitizer_reports import sanitizer_reports

SOURCE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
WORKERS = ("worker-1", "worker-2")
PORT = 7411
UIDS_A_WORKER = 400_000


class FleetElsewhere(Fleet):
    def __init__(self, germline):
        super().__init__(germline)
        self.germline = os.path.realpath(germline)
        self.logs_folder = self.root
        self.network = Network(("coordinator", *WORKERS, "person"),
                               (SOURCE, os.path.dirname(self.germline)))
        hosts = self.hosts = self.network.hosts
        self.person = hosts["person"]
        self.root = self.person.folder  # where genomes are made
        self.state = hosts["coordinator"].folder + "/state"
        self.public = f"{hosts['coordinator'].address}:{PORT}"
        self.worker_ids = {}

    # Services

    def start(self):
        self.start_coordinator()
        at = self.public.replace(":", "/")
        self.wait(lambda: self.person.run(["bash", "-c", f"true > /dev/tcp/{at}"]).returncode == 0,
                  "the coordinator listens", 20)
        self.log_in(self.person.folder + "/ann", "ann")
        self.home = self.person.folder + "/ann"
        for name in WORKERS:
            self.start_worker(name, self.token())
            known = set(self.worker_ids.values())
            joined = self.wait(lambda: {w["worker_id"] for w in self.workers()
                                        if w["connected"]} - known, f"{name} has joined")
            self.worker_ids[name] = joined.pop()

    def launch_on(self, name, words, environment, host=None):
        with open(os.path.join(self.logs_folder, name + ".log"), "ab") as log:
            self.processes[name] = Service(host or self.hosts[name], [self.germline, *words], log,
                                           environment)

    def start_coordinator(self):
        self.launch_on("coordinator", [
            "coordinator", "--listen", "unix:/run/control.sock", "--tls-listen", self.public,
            "--state-dir", self.state], {})

    def start_worker(self, name, token=""):
        words = ["worker", "--join", self.public, "--state-dir", self.state_of(name)]
        self.launch_on(name, words + (["--token", token] if token else []),
                       {"GERMLINE_UID_BASE": str(first_uid_of(name))})

    def start_foreign_worker(self, credentials):
        self.launch_on("stranger", ["worker", "--join", self.public, "--tls-dir", credentials,
                                    "--state-dir", self.person.folder + "/stranger"],
                       {"GERMLINE_UID_BASE": str(UID_BASE + len(WORKERS) * UIDS_A_WORKER)},
                       self.person)

    def believe_coordinator(self, credentials):
        shutil.copy(self.state + "/pki/ca.crt", credentials)

    def end(self, name, number=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait(30)

    def wait(self, holds, what, seconds=60, every=0.3):  # each look is a process on a host
        def go_on():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise AssertionError(f"{name} ended with {process.poll()}\n{self.logs()}")
            return holds()
        return super().wait(go_on, what, seconds, every)

    def state_of(self, name):
        return self.hosts[name].folder + "/state"

    def stop(self):
        try:
            for name in sorted(self.processes, reverse=True):
                self.processes[name].send_signal(signal.SIGTERM)
            for process in self.processes.values():
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            reports = sanitizer_reports(self.logs_folder)
        finally:
            self.network.remove()
            shutil.rmtree(self.logs_folder, ignore_errors=True)
        if reports:
            raise AssertionError("a sanitizer spoke:\n" + reports)

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.logs_folder)):
            if name.endswith(".log"):
                with open(os.path.join(self.logs_folder, name), errors="replace") as log:
                    text += f"--- {name}\n{log.read()[-6000:]}\n"
        return text

    # What people do

    def pki(self, *words):
        """On the coordinator's host, as root there; the first line of what it prints."""
        done = self.hosts["coordinator"].run(
            [self.germline, "pki", *words, "--pki-dir", self.state + "/pki"])
        if done.returncode != 0:
            raise AssertionError(f"pki {' '.join(words)} ended with {done.returncode}\n"
                                 f"{done.stderr}")
        return done.stdout.partition("\n")[0]

    def token(self, *words):
        return self.pki("token", *words)

    def log_in(self, home, name, *words):
        os.makedirs(home, exist_ok=True)
        token = self.token("--role", "person", "--name", name)
        done = self.person.run([self.germline, "login", self.public, "--token", token, *words],
                               self.environment_of(home))
        if done.returncode != 0:
            raise AssertionError(f"login ended with {done.returncode}\n{done.stderr}")

    @staticmethod
    def environment_of(home):
        return {"HOME": home, "XDG_CONFIG_HOME": home + "/.config"}

    def call(self, *words, check=True, home=None):
        done = self.person.run([self.germline, *words], self.environment_of(home or self.home))
        if check and done.returncode != 0:
            raise AssertionError(f"germline {' '.join(words)} ended with {done.returncode}\n"
                                 f"{done.stdout}\n{done.stderr}\n{self.logs()}")
        return done

    def go_on(self, *words):
        """A command of the person's that the test does not wait for yet; its Popen."""
        return self.person.enter([self.germline, *words], self.environment_of(self.home),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)

    # What is seen

    def workers(self):
        done = self.call("ps", "--workers", "--json", check=False)
        return json.loads(done.stdout)["workers"] if done.returncode == 0 else []

    def heard_since(self, name, moment):
        """Whether the coordinator has heard of the worker after the moment, by time.time()."""
        return any(worker["worker_id"] == self.worker_ids[name] and worker["connected"] and
                   int(worker["last_seen_ms"]) > 1000 * moment for worker in self.workers())

    def sandboxes_on(self, name):
        first = first_uid_of(name)
        own = range(first + 65_536, first + UIDS_A_WORKER)  # the first are the worker's own
        return [pid for pid in sandbox_pids() if owner_of(pid) in own]

    def running(self, run):
        """Once the agent of the run's newest iteration runs: the name of its worker."""
        def holds():
            live = [i for i in iterations_of(self.tree(run) or {"iterations": []})
                    if i["phase"] == "ITERATION_PHASE_RUNNING" and i["attempts"]]
            return live[-1]["attempts"][-1]["worker_id"] if live else None
        found = self.wait(holds, f"an agent of {run} runs", 60, every=0.15)
        holder = next(name for name, known in self.worker_ids.items() if known == found)
        self.wait(lambda: self.sandboxes_on(holder), f"its sandbox is on {holder}", 10, every=0.02)
        return holder

    @staticmethod
    def other(name):
        return WORKERS[1 - WORKERS.index(name)]

    def zygote_of(self, name):
        found = [pid for pid in children(self.processes[name].pid)
                 if name_of(pid).startswith("germline-zygote"[:15])]
        if len(found) != 1:
            raise AssertionError(f"zygotes of {name}: {found}")
        return found[0]


def first_uid_of(worker):
    return UID_BASE + WORKERS.index(worker) * UIDS_A_WORKER


def owner_of(pid):
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return 0


def timed(holds, fleet, what, seconds):
    """How long it took until holds() was true."""
    began = time.monotonic()
    fleet.wait(holds, what, seconds, every=0.1)
    return time.monotonic() - began
