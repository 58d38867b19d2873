#!/usr/bin/env python3
"""Builds a genome from a copy, runs its own tests and its protected tests.

Usage: genome_test.py GENOME_DIR [DEPS_DIR]. What it must find: a green build, a report that names
passed tests, every artefact of the manifest, and a protected report of the same kind on the given
descriptor. The packages of a genome with [deps] are installed into DEPS_DIR by npm, and stay there; where
npm reaches no registry the test ends 77, skipped.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import npm  # noqa: E402


def cases_of(text):
    """Names of the cases of a JUnit report; ends the test if one is not passed."""
    names = []
    for case in xml.fromstring(text).iter("testcase"):
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        if bad:
            sys.exit(f"{case.get('name')}: {bad[0]}")
        names.append(case.get("name"))
    if not names or len(set(names)) != len(names):
        sys.exit(f"{len(names)} cases, {len(set(names))} names")
    return names


def protected_report(folder, program, environment):
    """Runs the protected tests; what they wrote to their descriptor. As root the candidate is told
    that this may be so, which is for Claude Code to hear."""
    read_end, write_end = os.pipe()
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o1777)
        process = subprocess.Popen(
            [folder / program], cwd=folder, pass_fds=[write_end],
            env={**environment, "PATH": "/usr/bin:/bin", "GERMLINE_ARTEFACT_DIR": str(folder),
                 "GERMLINE_REPORT_FD": str(write_end), "GERMLINE_SCRATCH": scratch,
                 "GERMLINE_AS_CANDIDATE": "/usr/bin/env IS_SANDBOX=1"})
        os.close(write_end)
        with os.fdopen(read_end, encoding="utf-8") as report:
            text = report.read()
        if process.wait() != 0:
            print(text)
            sys.exit(f"the protected tests ended with {process.returncode}")
    return text


def main():
    source = pathlib.Path(sys.argv[1])
    deps = {}
    if len(sys.argv) > 2:
        npm.install(source, sys.argv[2])
        deps["DEPS"] = os.path.abspath(sys.argv[2])
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "genome"
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("build"))
        manifest = tomllib.loads((folder / "genome.toml").read_text(encoding="utf-8"))
        environment = {**os.environ, "CCACHE_DISABLE": "1"}
        for command in (manifest["agent"]["build"], manifest["test"]["command"]):
            done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}")
        missing = [path for path in manifest["agent"]["artefact"] if not (folder / path).exists()]
        if missing:
            sys.exit(f"the build left no {missing}")
        own = cases_of((folder / manifest["test"]["report"]).read_text(encoding="utf-8"))
        protected = cases_of(protected_report(folder, manifest["protect"]["tests"], deps))
        print(f"{len(own)} own cases, {len(protected)} protected cases, all passed")


if __name__ == "__main__":
    main()
