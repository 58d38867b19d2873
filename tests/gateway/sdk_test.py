#!/usr/bin/env python3
"""The SDKs as npm has them, before `germline gateway`, whose provider is scripted (sdk/story.json).

Usage: sdk_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM_BINARY FOLDER. The packages are installed into the
folder and stay there. What the SDKs return is for sdk/*_test.mjs to judge; here, what was charged.
Ends 77, skipped, where there is no npm or npm reaches no registry.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import npm  # noqa: E402

GERMLINE, UPSTREAM, FOLDER = sys.argv[1:4]
del sys.argv[1:4]
MODEL = "scripted-1"
EACH = 1000  # nano-dollars a token
# Of each gateway the budget. `tight` covers the one or the other of two requests of 50,000 and 20,000
# tokens at a time; `empty` covers none.
BUDGETS = {"wide": "$5", "tight": "$0.06", "empty": "$0.000001"}
TOKEN = "a-token-of-this-test"


class Gateway:
    def __init__(self, root, budget):
        token = os.path.join(root, "token")
        self.process = subprocess.Popen(
            [GERMLINE, "gateway", "--config", os.path.join(root, "gateway.toml"), "--model", MODEL,
             "--budget", budget, "--token-file", token, "--json"],
            stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]

    def end(self):
        """Its account."""
        self.process.send_signal(signal.SIGTERM)
        told, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self.process.returncode
        return json.loads(told)


class Sdks(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="germline-sdk-")
        self.addCleanup(shutil.rmtree, self.root)
        os.chmod(self.root, 0o755)  # the gateway has an account of its own
        self.provider = subprocess.Popen(
            [UPSTREAM, "--listen", "127.0.0.1:0", "--story", str(HERE / "sdk/story.json"),
             "--report", os.path.join(self.root, "report.json")], stdout=subprocess.PIPE, text=True)
        port = int(self.provider.stdout.readline())
        price = dict.fromkeys(("input", "output", "cache_write", "cache_write_1h", "cache_read"),
                              EACH * 10**6)
        self.write("prices.json", json.dumps(
            {"schema": 1, "models": [{"model": MODEL, **price}]}))
        self.write("gateway.toml", f"""schema = 1
[upstream]
url = "http://127.0.0.1:{port}"
dialects = ["messages", "chat_completions", "responses"]
[prices]
file = "{self.root}/prices.json"
""")
        self.write("token", TOKEN + "\n")
        self.gateways = {name: Gateway(self.root, budget) for name, budget in BUDGETS.items()}

    def tearDown(self):
        for process in [self.provider, *(each.process for each in self.gateways.values())]:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)

    def run_sdk(self, name):
        """Runs its tests; the accounts and the provider's report after them."""
        story = json.loads((HERE / "sdk/story.json").read_text())
        slow = next(step["reply"]["content"][0]["text"] for lane in story["lanes"]
                    for step in lane["steps"] if step["name"] == "is slow")
        doors = {"model": MODEL, "slow_text": slow,
                 **{door: {"url": each.url, "token": TOKEN} for door, each in self.gateways.items()}}
        for file in ("doors.mjs", name):  # beside the packages, where Node.js looks for them
            shutil.copy(HERE / "sdk" / file, FOLDER)
        done = subprocess.run(["node", "--test", name], cwd=FOLDER, capture_output=True, text=True,
                              timeout=120, check=False, env={
                                  "PATH": os.environ["PATH"], "HOME": self.root,
                                  "GERMLINE_DOORS": json.dumps(doors)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        time.sleep(1)  # until the provider writes the next event of a stream whose client has gone
        accounts = {door: each.end() for door, each in self.gateways.items()}
        self.provider.send_signal(signal.SIGTERM)
        self.provider.wait(30)
        with open(os.path.join(self.root, "report.json")) as file:
            report = json.load(file)
        return accounts, report, done.stdout

    def judge(self, name, gone):
        accounts, report, told = self.run_sdk(name)
        self.assertTrue(report["ok"], report)
        self.assertEqual(report["clients_gone"], gone, report)
        story = json.dumps(accounts) + told
        wide, tight, empty = (accounts[door] for door in ("wide", "tight", "empty"))
        self.assertEqual(report["requests"], wide["requests"] + tight["requests"] - self.counts,
                         story)
        self.assertEqual(wide["charged_by_bound"], gone, story)
        self.assertGreater(wide["refused"], 0, story)
        self.assertEqual((tight["requests"], tight["charged_by_bound"]), (2, 0), story)
        self.assertEqual(tight["cost_nanousd"],
                         EACH * (tight["input_tokens"] + tight["output_tokens"]), story)
        self.assertEqual((empty["requests"], empty["cost_nanousd"]), (0, 0), story)

    def test_anthropic(self):
        self.counts = 1  # of tokens, which no story is told of
        self.judge("anthropic_test.mjs", gone=1)

    def test_openai(self):
        self.counts = 0
        self.judge("openai_test.mjs", gone=2)


npm.install(HERE / "sdk", FOLDER)
unittest.main(verbosity=2)
