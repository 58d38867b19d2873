"""Hosts for the tests in which every process is on a machine of its own, as far as one kernel
allows: each with its own network, mounts, processes and name, and joined by a wire (wire.py) that
the test can slow down and cut. Needs root and /dev/net/tun.

A host sees of the test's folder nothing but its own, beneath the same path as the test itself, and
has a /tmp and /run of its own. Its first process reads a pipe of the test's: when the test ends,
however it ends, that one ends, and with it all processes of the host.
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PRIVATE = ("/tmp", "/run")  # a file system of each host's own
MS_BIND, MS_REC = 4096, 16384


def only_child(pid, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as listed:
                found = listed.read().split()
        except OSError:
            found = []
        if found:
            return int(found[0])
        time.sleep(0.002)
    raise AssertionError(f"process {pid} has no child")


class Service:
    """A process that goes on in a host. `pid` is its own, as the test's processes see it."""

    def __init__(self, host, words, log, environment):
        self.entered = host.enter(words, environment, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=subprocess.STDOUT)
        self.pid = only_child(self.entered.pid)

    def poll(self):
        return self.entered.poll()

    def wait(self, seconds=None):
        return self.entered.wait(seconds)

    def send_signal(self, number):
        if self.poll() is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass  # it has ended, and who waits for it is about to say so

    def kill(self):
        self.send_signal(signal.SIGCONT)
        self.send_signal(signal.SIGKILL)

    def wake(self):
        """After a SIGSTOP. Who waits for a stopped process has stopped itself: both go on."""
        os.kill(self.pid, signal.SIGCONT)
        os.kill(self.entered.pid, signal.SIGCONT)


class Host:
    """`folder` is all that it has of the test's folder."""

    def __init__(self, name, address, root, seen):
        self.name = name
        self.address = address
        self.folder = os.path.join(root, name)
        os.mkdir(self.folder, 0o755)
        self.keeper = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child",
             "--mount-proc", "--", sys.executable, os.path.abspath(__file__), name, root, *seen],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.keeper.stdout.readline() != "ready\n":
            raise AssertionError(f"no namespaces for the host {name}; a message is above")
        self.first = only_child(self.keeper.pid)

    def enter(self, words, environment=None, **how):
        """Popen of words in this host. The process that it gives waits for that of the words, which
        is its child, and ends as that does."""
        return subprocess.Popen(
            ["nsenter", "--target", str(self.first), "--net", "--mount", "--uts", "--pid", "--",
             *words], env={**os.environ, **(environment or {})}, **how)

    def run(self, words, environment=None, seconds=120):
        entered = self.enter(words, environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        try:
            out, err = entered.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.kill(only_child(entered.pid), signal.SIGKILL)
            out, err = entered.communicate()
            err += f"\nended by the test after {seconds} s"
        return subprocess.CompletedProcess(words, entered.returncode, out, err)

    def remove(self):
        self.keeper.stdin.close()
        try:
            self.keeper.wait(10)
        except subprocess.TimeoutExpired:
            self.keeper.kill()  # and its child with it
            self.keeper.wait()
        self.keeper.stdout.close()


class Network:
    """Hosts by name, and the wire between them. Removes all of it in remove()."""

    def __init__(self, names, seen, seed=1):
        """`seen`: folders that each host sees although they may lie where it has its own."""
        self.root = tempfile.mkdtemp(prefix="germline-e2e-")
        os.chmod(self.root, 0o755)
        self.hosts = {}
        self.wire = None
        try:
            for number, name in enumerate(names, 1):
                self.hosts[name] = Host(f"{name}-{os.getpid()}", f"10.77.0.{number}", self.root,
                                        seen)
            self.wire = subprocess.Popen(
                [sys.executable, os.path.join(HERE, "wire.py"), str(seed),
                 *(f"{name}={host.address}@{host.first}" for name, host in self.hosts.items())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.answer()
        except BaseException:
            self.remove()
            raise

    def answer(self):
        line = self.wire.stdout.readline()
        if not line:
            raise AssertionError("the wire has ended: " + self.wire.stderr.read().strip())
        return json.loads(line)

    def tell(self, what):
        self.wire.stdin.write(json.dumps(what) + "\n")
        self.wire.stdin.flush()
        return self.answer()

    def shape(self, **how):
        """delay_ms and jitter_ms one way, loss as a share of 1, kbit a second; none: plain."""
        self.tell({"shape": how})

    def cut(self, name):
        """From here on nothing comes from or to the host, and nobody is told."""
        self.tell({"cut": name})

    def mend(self, name):
        self.tell({"mend": name})

    def counts(self):
        return self.tell({"count": True})

    def remove(self):
        for host in self.hosts.values():
            host.remove()
        if self.wire is not None:
            self.wire.stdin.close()
            try:
                self.wire.wait(10)
            except subprocess.TimeoutExpired:
                self.wire.kill()
                self.wire.wait()
            self.wire.stdout.close()
            self.wire.stderr.close()
        shutil.rmtree(self.root, ignore_errors=True)


def mount(source, target, kind=None, flags=0, options=None):
    libc = ctypes.CDLL(None, use_errno=True)
    texts = [text.encode() if text else None for text in (source, target, kind, options)]
    if libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]) != 0:
        raise OSError(ctypes.get_errno(), f"mounting {target}")


def be_first(name, root, seen):
    """The first process of a host: lays its file systems out, then waits for the test's end."""
    own = os.path.join(root, name)
    kept = {path: os.open(path, os.O_PATH) for path in (own, *seen)
            if path == own or any(path.startswith(there + "/") for there in PRIVATE)}
    for there in PRIVATE:
        mount("tmpfs", there, "tmpfs", 0, "mode=1777" if there == "/tmp" else "mode=755")
    os.makedirs(root, exist_ok=True)
    mount("tmpfs", root, "tmpfs", 0, "mode=755")
    for path, opened in kept.items():
        os.makedirs(path, exist_ok=True)
        mount(f"/proc/self/fd/{opened}", path, None, MS_BIND | MS_REC)
        os.close(opened)
    socket.sethostname(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever is left to it vanishes at its end
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    be_first(sys.argv[1], sys.argv[2], sys.argv[3:])
