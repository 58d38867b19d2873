"""The product's own programs on one machine, for the end-to-end tests: a coordinator and a worker,
under `germline up` or each started by the test. Needs root. What it starts it ends, by pid.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from sanitizer_reports import sanitizer_reports  # noqa: E402
from uid_slots import take_uid_base  # noqa: E402

# Uids of this test alone, so that it does not meet a Germline that runs on the machine already.
UID_BASE = take_uid_base()
SANDBOX_UIDS = range(UID_BASE + 65_536, UID_BASE + 1_000_000)

# The states of an iteration, and what holds one long enough to be seen.
STATES = ("preparing", "running", "importing", "validating", "probation", "reporting")
HOLDS = {"running": "agent 1\n", "validating": "build 1\n", "probation": "agent 1\n"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as listed:
            return [int(child) for child in listed.read().split()]
    except OSError:
        return []


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as comm:
            return comm.read().strip()
    except OSError:
        return ""


def sandbox_pids():
    """Processes under a uid of the sandboxes' ranges."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid in SANDBOX_UIDS:
                found.append(int(pid))
        except OSError:
            pass
    return found


class Fleet:
    """Coordinator and worker under `germline up`."""

    def __init__(self, germline):
        if os.geteuid() != 0:
            raise RuntimeError("this test needs root: it makes sandboxes")
        self.germline = germline
        self.root = tempfile.mkdtemp(prefix="germline-e2e-")
        os.chmod(self.root, 0o755)
        self.state = os.path.join(self.root, "state")
        self.address = f"unix:{self.root}/run/germline/control.sock"
        self.processes = {}
        self.environment = {}  # of the services, beside the test's own
        self.genomes = 0
        self.gateway_config = ""

    def use_gateway(self, prices):
        """The worker starts with a gateway, whose upstream nobody serves."""
        copied = os.path.join(self.root, "prices.json")
        shutil.copy(prices, copied)
        os.chmod(copied, 0o644)
        self.write(self.root, "gateway.toml",
                   f'schema = 1\n[upstream]\nurl = "http://127.0.0.1:1"\n[prices]\nfile = '
                   f'"{copied}"\n')
        self.gateway_config = os.path.join(self.root, "gateway.toml")

    def use_upstream(self, upstream, each_in=10**9, each_out=10**9):
        """The worker starts with a gateway whose configuration has these lines, and asks scripted-1:
        a million tokens cost so many nano-dollars. Where its transcripts are written."""
        price = {"model": "scripted-1", "input": each_in, "output": each_out,
                 "cache_write": each_in, "cache_write_1h": each_in, "cache_read": each_in}
        self.write(self.root, "prices.json", json.dumps({"schema": 1, "models": [price]}))
        transcripts = os.path.join(self.root, "transcripts")
        os.makedirs(transcripts, exist_ok=True)
        os.chmod(transcripts, 0o777)  # the gateway has an account of its own
        self.write(self.root, "gateway.toml",
                   f'schema = 1\n{upstream}[transcripts]\ndirectory = "{transcripts}"\n'
                   f'[prices]\nfile = "{self.root}/prices.json"\n')
        self.gateway_config = os.path.join(self.root, "gateway.toml")
        return transcripts

    def start(self, *words):
        if self.gateway_config:
            words += ("--gateway-config", self.gateway_config)
        self.launch("up", "up", "--state-dir", self.state, "--coordinator", self.address, *words)
        self.await_worker()

    def launch(self, name, *words):
        os.makedirs(self.state, exist_ok=True)
        with open(os.path.join(self.root, name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [self.germline, *words], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "GERMLINE_UID_BASE": str(UID_BASE), **self.environment})

    def await_worker(self, seconds=60):
        def joined():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise AssertionError(f"{name} ended with {process.poll()}\n{self.logs()}")
            listed = self.call("ps", "--workers", "--json", check=False)
            return listed.returncode == 0 and any(
                worker["connected"] for worker in json.loads(listed.stdout)["workers"])
        self.wait(joined, "a worker has joined", seconds)

    def stop(self):
        """The worker first: it tells the coordinator what becomes of its attempts."""
        for name in sorted(self.processes, reverse=True):
            process = self.processes[name]
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reports = sanitizer_reports(self.root)
        shutil.rmtree(self.root, ignore_errors=True)
        if reports:
            raise AssertionError("a sanitizer spoke:\n" + reports)

    def call(self, *words, check=True):
        done = subprocess.run([self.germline, *words, "--coordinator", self.address],
                              capture_output=True, text=True, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"germline {' '.join(words)} ended with {done.returncode}\n"
                                 f"{done.stdout}\n{done.stderr}\n{self.logs()}")
        return done

    def asked(self, *words):
        return json.loads(self.call(*words, "--json").stdout)

    def wait(self, holds, what, seconds=60, every=0.2):
        """Waits until holds() is true, and returns what it returned."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            held = holds()
            if held:
                return held
            time.sleep(every)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.logs()}")

    def logs(self):
        text = ""
        for folder in (self.root, os.path.join(self.state, "logs")):
            if not os.path.isdir(folder):
                continue
            for name in sorted(os.listdir(folder)):
                if name.endswith(".log"):
                    with open(os.path.join(folder, name), errors="replace") as log:
                        text += f"--- {name}\n{log.read()[-6000:]}\n"
        return text

    def example(self, name):
        """A repository with that example."""
        self.genomes += 1
        place = os.path.join(self.root, f"genome-{self.genomes}")
        subprocess.run([self.germline, "init", place, "--from", name], check=True,
                       capture_output=True, text=True)
        return place

    def genome(self, behaviour="evolve", pauses=""):
        """A repository with the two-second genome, steered."""
        place = self.example("two-second")
        self.write(place, "behaviour", behaviour + "\n")
        if pauses:
            self.write(place, "pauses", pauses)
        self.commit(place, behaviour)
        return place

    @staticmethod
    def write(place, name, text):
        with open(os.path.join(place, name), "w") as file:
            file.write(text)

    @staticmethod
    def commit(place, message):
        git = ["git", "-C", place, "-c", "user.name=t", "-c", "user.email=t@t"]
        subprocess.run(git + ["add", "-A"], check=True)
        subprocess.run(git + ["commit", "-q", "--allow-empty", "-m", message], check=True)

    def run(self, genome, iterations=1, *words):
        return self.asked("run", genome, "--iterations", str(iterations), *words)["run_id"]

    def tree(self, run):
        """The run's tree; none while no coordinator answers."""
        done = self.call("tree", run, "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def settled(self, run, iterations, seconds=100):
        """The tree once so many iterations have ended, or the seed was refused; and those."""
        def holds():
            tree = self.tree(run)
            if tree is None:
                return None
            ended = [i for i in iterations_of(tree) if i["ending"] != "ENDING_UNSPECIFIED"]
            done = len(ended) >= iterations or tree["run"]["found_state"] == "refused"
            return (tree, ended) if done else None
        return self.wait(holds, f"{iterations} iterations of {run} have ended", seconds)

    def measured(self, run, iterations, seconds=150):
        """The tree once so many iterations have ended, and all evaluations."""
        self.settled(run, iterations, seconds)

        def holds():
            tree = self.tree(run)
            done = tree and all(e["ending"] != "ENDING_UNSPECIFIED" for e in tree["evaluations"])
            return tree if done else None
        return self.wait(holds, f"all of {run} is measured", seconds)


class FleetApart(Fleet):
    """Coordinator and worker as processes of their own, so that a test can end and start each."""

    def __init__(self, germline):
        super().__init__(germline)
        self.address = f"127.0.0.1:{free_port()}"

    def start(self):
        self.start_coordinator()
        self.start_worker()
        self.await_worker()

    def start_coordinator(self):
        self.launch("coordinator", "coordinator", "--listen", self.address, "--state-dir",
                    self.state + "/coordinator")

    def start_worker(self):
        words = ["worker", "--coordinator", self.address, "--state-dir", self.state + "/worker"]
        if self.gateway_config:
            words += ["--gateway-config", self.gateway_config]
        self.launch("worker", *words)

    def kill_and_restart(self, victim):
        """SIGKILL for coordinator or worker, or for the worker's zygote or gateway, at whose end
        the worker is to end by itself. Whoever ended is started again, as systemd would."""
        if victim in self.processes:
            self.processes[victim].kill()
        else:
            companions = [pid for pid in children(self.processes["worker"].pid)
                          if name_of(pid).startswith(f"germline-{victim}"[:15])]
            if len(companions) != 1:
                raise AssertionError(f"the worker's {victim}: {companions}\n{self.logs()}")
            os.kill(companions[0], signal.SIGKILL)
            victim = "worker"
        self.processes[victim].wait(30)
        if victim == "worker":
            self.start_worker()
        else:
            self.start_coordinator()

    def run_until(self, state, iterations=2):
        """A run whose seed is founded, and its lineage; returns in the moment in which the first
        iteration is seen in the state."""
        run = self.run(self.genome("evolve", HOLDS.get(state, "")), iterations)
        lineage = self.tree(run)["run"]["lineages"][0]["lineage_id"]
        self.call("pause", lineage)
        self.wait(lambda: self.tree(run)["run"]["found_state"] == "founded", "founded")
        self.wait(lambda: not sandbox_pids(), "the founding's sandboxes are gone")
        self.call("resume", lineage)

        def phase_is():
            live = iterations_of(self.tree(run))
            return live and live[0]["phase"] == "ITERATION_PHASE_" + state.upper()

        # Where a state is too short for the record to show it: what only it has.
        incoming = self.state + "/coordinator/incoming"
        seen = {
            "preparing": sandbox_pids,
            "importing": lambda: "germline-import" in map(name_of, sandbox_pids()),
            "reporting": lambda: os.listdir(incoming),
        }.get(state, phase_is)
        self.wait(seen, f"the iteration is {state}", every=0.0005 if state != "running" else 0.05)
        return run, lineage

    def supervisors(self):
        """The processes that hold the worker's sandboxes."""
        zygotes = [pid for pid in children(self.processes["worker"].pid)
                   if name_of(pid).startswith("germline-zygote"[:15])]
        return [pid for zygote in zygotes for pid in children(zygote)]

    def objects(self, *words):
        """git, read-only, in the coordinator's own repository."""
        return subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", self.state + "/coordinator/objects.git",
             *words], check=True, capture_output=True, text=True).stdout


def iterations_of(tree):
    return [i for i in tree["iterations"] if i["kind"] == "WORK_KIND_ITERATE"]
