"""npm for tests that run programs from its registry. Which registry that is, npm is asked."""
import os
import pathlib
import shutil
import subprocess
import sys

SKIPPED = 77  # SKIP_RETURN_CODE
# What npm says where it cannot reach its registry.
UNREACHED = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH",
             "ETIMEDOUT", "ERR_SOCKET_TIMEOUT", "ENOTCACHED")


def skip(why):
    print(f"skipped: {why}", flush=True)
    sys.exit(SKIPPED)


def npm(*words, **named):
    if not (shutil.which("npm") and shutil.which("node")):
        skip("there is no npm")
    return subprocess.run(["npm", *words], capture_output=True, text=True, check=False, timeout=500,
                          **named)


def registry():
    """Its URL, once npm has been seen to reach it."""
    reached = npm("ping", "--fetch-retries=0", "--fetch-timeout=20000")
    if reached.returncode != 0:
        skip("npm reaches no registry")
    return npm("config", "get", "registry").stdout.strip()


def install(source, place):
    """The packages of the lock file in the folder `source`, in the folder `place`, which is kept
    for the next time."""
    files = ("package.json", "package-lock.json")
    wanted = [(pathlib.Path(source) / name).read_bytes() for name in files]
    if (pathlib.Path(place) / "installed").exists() and all(
            (pathlib.Path(place) / name).read_bytes() == one for name, one in zip(files, wanted)):
        return
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    for name, one in zip(files, wanted):
        (pathlib.Path(place) / name).write_bytes(one)
    done = npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", cwd=place)
    if done.returncode != 0:
        if any(word in done.stderr for word in UNREACHED):
            skip("npm reaches no registry")
        raise AssertionError(f"npm ci failed: {done.stdout}\n{done.stderr}")
    (pathlib.Path(place) / "installed").touch()
