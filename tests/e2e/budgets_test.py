#!/usr/bin/env python3
"""Budgets, with processes that die: in the end a run has spent what its model billed, the fleet has
spent what its runs have, and what is spent is the end.

Usage: budgets_test.py GERMLINE_BINARY. Needs root. The model is this test's own, on loopback.
Everything it starts it ends, by pid.
"""
import http.server
import json
import os
import signal
import sys
import threading
import unittest

from fleet import Fleet, FleetApart, children, iterations_of

GERMLINE = sys.argv.pop(1)

# Nano-dollars a token, and tokens of each answer.
IN, OUT = 1_000, 2_000
EACH_IN, EACH_OUT = 100, 5
EACH = EACH_IN * IN + EACH_OUT * OUT
# What one request could cost at most: its bytes, what the provider may add, and its cap.
MOST = 3_000 * IN + 50 * OUT
MOST_TOKENS = 3_000 + 50
# The money of a few requests.
LITTLE = MOST + 3 * EACH

GENOME = """\
schema = 1

[genome]
name = "spends"

[agent]
build = "mkdir -p build && cp agent.py build/agent && chmod 755 build/agent"
artefact = ["build/agent"]
run = "build/agent"
result = "worktree"
model = "anthropic"

[protect]
paths = ["protected/**"]
tests = "protected/run"

[sandbox]
memory = "256MiB"
wall_time = "120s"
"""

# Notes what the model has it note, and waits where that says so.
AGENT = """\
#!/usr/bin/python3
import json
import os
import time
import urllib.request

with open("/germline/task.json") as file:
    MODEL = json.load(file)["model"]
TOOL = {"name": "note", "input_schema": {
    "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}}


def ask(messages):
    request = urllib.request.Request(
        os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages",
        json.dumps({"model": MODEL, "max_tokens": 50, "messages": messages,
                    "tools": [TOOL]}).encode(),
        {"content-type": "application/json", "anthropic-version": "2023-06-01",
         "x-api-key": os.environ["ANTHROPIC_API_KEY"]})
    with urllib.request.urlopen(request, timeout=100) as answer:
        return json.load(answer)


messages = [{"role": "user", "content": "What shall I note?"}]
said = ask(messages)
while said["stop_reason"] == "tool_use":
    messages.append({"role": "assistant", "content": said["content"]})
    results = []
    for part in said["content"]:
        if part["type"] != "tool_use":
            continue
        text = str(part["input"].get("text"))
        if text == "wait":
            time.sleep(100)
        with open("notes", "a") as notes:
            notes.write(text + "\\n")
        results.append({"type": "tool_result", "tool_use_id": part["id"], "content": "noted"})
    messages.append({"role": "user", "content": results})
    said = ask(messages)
"""

PROTECTED = """\
#!/bin/sh
printf '<testsuite name="protected"><testcase classname="protected" name="is_there"/></testsuite>' \\
  >&"${GERMLINE_REPORT_FD:?}"
"""


class Model:
    """Says what its test lets it say, and counts what it bills."""

    def __init__(self):
        self.says = []  # the next answers: a text to note, or None for the end; then the end
        self.billed = 0
        self.asked = 0
        self.holds_from = None  # the number of the first request that waits for its answer
        self.may_answer = threading.Event()
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                model.asked += 1
                if model.holds_from is not None and model.asked >= model.holds_from:
                    model.may_answer.wait(90)
                model.billed += EACH
                text = model.says.pop(0) if model.says else None
                content, stop = [{"type": "text", "text": "done"}], "end_turn"
                if text is not None:
                    content = [{"type": "tool_use", "id": f"toolu_{model.asked}", "name": "note",
                                "input": {"text": text}}]
                    stop = "tool_use"
                answer = json.dumps({
                    "id": "m", "model": "m", "type": "message", "role": "assistant",
                    "content": content, "stop_reason": stop,
                    "usage": {"input_tokens": EACH_IN, "output_tokens": EACH_OUT}}).encode()
                try:
                    self.send_response(200)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass  # who asked is gone

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


class Spending(unittest.TestCase):
    KIND = FleetApart

    def setUp(self):
        self.model = Model()
        self.addCleanup(self.model.stop)
        self.fleet = fleet = self.KIND(GERMLINE)
        self.addCleanup(fleet.stop)
        fleet.use_upstream(f'[upstream]\nurl = "http://127.0.0.1:{self.model.port}"\n',
                           IN * 10**6, OUT * 10**6)
        fleet.start()

    def spender(self, agent=AGENT):
        place = self.fleet.example("two-second")
        for name in os.listdir(place):
            if name != ".git" and os.path.isfile(os.path.join(place, name)):
                os.remove(os.path.join(place, name))
        os.makedirs(place + "/protected", exist_ok=True)
        self.fleet.write(place, "genome.toml", GENOME)
        self.fleet.write(place, "agent.py", agent)
        self.fleet.write(place, "protected/run", PROTECTED)
        os.chmod(place + "/protected/run", 0o755)
        self.fleet.commit(place, "an agent that spends")
        return place

    def run_spending(self, iterations, *words):
        return self.fleet.run(self.spender(), iterations, "--model", "scripted-1", *words)

    def purse(self, run):
        told = self.fleet.asked("budget", run)
        return {key: int(value) for key, value in told["runs"][0].items() if "nanousd" in key}

    def counted(self, run, unit):
        told = self.fleet.asked("budget", run)["runs"][0].get(unit, {})
        return {key: int(value) for key, value in told.items() if key != "per_day"}

    def paused_for_want(self, lineage):
        """Its details, once it is."""
        def stands():
            told = self.fleet.asked("show", lineage)["lineage"]
            return told if told["state"] == "LINEAGE_STATE_PAUSED" else None
        told = self.fleet.wait(stands, "the lineage is paused", 200)
        self.assertEqual(told["pause_reason"], "PAUSE_REASON_BUDGET", told)
        return told["pause_details"]

    def in_fleet(self, *words):
        told = self.fleet.asked("budget", "--fleet", *words)["fleet"]
        return {key: int(value) for key, value in told.items() if "nanousd" in key}


class UnderUp(Spending):
    """`up` starts all with a umask of its own, and starts again what ended."""
    KIND = Fleet

    def test_a_worker_that_is_killed_tells_when_it_is_back(self):
        fleet, model = self.fleet, self.model
        model.says = ["first", "wait"]
        run = self.run_spending(1, "--budget", "$10")
        fleet.wait(lambda: model.asked == 2 and not model.says, "the agent waits")
        for pid in children(fleet.processes["up"].pid):
            with open(f"/proc/{pid}/cmdline") as words:
                if "\0worker\0" in words.read():
                    os.kill(pid, signal.SIGKILL)
        fleet.settled(run, 1)
        fleet.wait(lambda: self.purse(run)["unreconciled_nanousd"] == 0, "its journal is read")
        self.assertEqual(self.purse(run)["spent_nanousd"], model.billed, fleet.logs())
        self.assertEqual(model.billed, 3 * EACH)

    def test_a_stop_in_good_order_tells_what_was_spent(self):
        fleet, model = self.fleet, self.model
        for turn in range(3):
            billed = model.billed
            model.says = ["first", "wait"]
            run = self.run_spending(1, "--budget", "$10")
            fleet.wait(lambda: model.billed == billed + 2 * EACH, "the agent waits")
            up = fleet.processes.pop("up")
            up.send_signal(signal.SIGTERM)
            up.wait(30)
            fleet.start()
            fleet.settled(run, 1)
            (iteration,) = iterations_of(fleet.tree(run))
            first = iteration["attempts"][0]
            self.assertEqual(first["details"], "the worker is stopping", f"{turn}: {first}")
            self.assertEqual(self.purse(run)["spent_nanousd"], model.billed - billed)


class Budgets(Spending):
    def test_a_worker_that_is_killed_tells_when_it_is_back(self):
        fleet, model = self.fleet, self.model
        model.says = ["first", "wait"]
        run = self.run_spending(1, "--budget", "$10")
        fleet.wait(lambda: model.asked == 2 and not model.says, "the agent waits")
        held = self.purse(run)["held_nanousd"]
        self.assertGreater(held, 100 * EACH)
        # No worker is there: nobody knows, and all of it is spent.
        fleet.processes["worker"].kill()
        fleet.processes["worker"].wait(30)
        del fleet.processes["worker"]
        fleet.wait(lambda: self.purse(run)["unreconciled_nanousd"] == held, "it is charged whole")
        self.assertEqual(self.purse(run)["spent_nanousd"], held)
        fleet.start_worker()
        tree, ended = fleet.settled(run, 1)
        # The model has nothing to note any more.
        self.assertEqual([i["reason"] for i in ended], ["no_change"], json.dumps(ended))
        fleet.wait(lambda: self.purse(run)["unreconciled_nanousd"] == 0, "its journal is read")
        purse = self.purse(run)
        self.assertEqual(purse["spent_nanousd"], model.billed, fleet.logs())
        self.assertEqual(purse["held_nanousd"], 0)
        self.assertEqual(model.billed, 3 * EACH)
        self.assertEqual(self.in_fleet()["spent_nanousd"], model.billed)
        # What was told is removed, of attempts that ended well too.
        accounts = fleet.state + "/worker/accounts"
        fleet.wait(lambda: not os.listdir(accounts), "no journal is left")

    def test_a_request_under_way_as_the_gateway_is_killed_counts_by_its_bound(self):
        fleet, model = self.fleet, self.model
        model.says = ["first"]
        model.holds_from = 2
        run = self.run_spending(1, "--budget", "$10")
        fleet.wait(lambda: model.asked == 2, "its second request is under way")
        held = self.purse(run)["held_nanousd"]
        fleet.kill_and_restart("gateway")
        model.may_answer.set()
        fleet.settled(run, 1)
        fleet.wait(lambda: self.purse(run)["unreconciled_nanousd"] == 0, "its journal is read")
        spent = self.purse(run)["spent_nanousd"]
        self.assertGreaterEqual(spent, model.billed)
        self.assertLess(spent, model.billed + MOST)
        self.assertLess(spent, held)

    def test_what_the_fleet_has_spent_is_the_end_until_it_is_raised(self):
        fleet, model = self.fleet, self.model
        self.in_fleet(f"${LITTLE / 10**9:.9f}")
        run = self.run_spending(50, "--budget", "$10")
        lineage = fleet.tree(run)["run"]["lineages"][0]["lineage_id"]

        def stands():
            told = fleet.asked("show", lineage)["lineage"]
            return told if told["state"] == "LINEAGE_STATE_PAUSED" else None
        told = fleet.wait(stands, "the lineage is paused", 200)
        self.assertEqual(told["pause_reason"], "PAUSE_REASON_BUDGET", told)
        told_fleet = self.in_fleet()
        self.assertLessEqual(told_fleet["spent_nanousd"], LITTLE)
        self.assertEqual(told_fleet["spent_nanousd"], model.billed)
        self.assertGreater(model.billed, 0)
        self.assertIn("the fleet's budget", told["pause_details"])
        # Over restarts, and with another word at the start.
        fleet.kill_and_restart("coordinator")
        fleet.await_worker()
        self.assertEqual(self.in_fleet()["spent_nanousd"], told_fleet["spent_nanousd"])
        self.assertEqual(self.in_fleet()["budget_nanousd"], LITTLE)
        fleet.environment["GERMLINE_FLEET_BUDGET"] = "$9"
        fleet.kill_and_restart("coordinator")
        fleet.await_worker()
        self.assertEqual(self.in_fleet()["budget_nanousd"], 9 * 10**9)
        done = len([i for i in iterations_of(fleet.tree(run))])
        fleet.call("resume", lineage)
        fleet.wait(lambda: len(iterations_of(fleet.tree(run))) > done, "it goes on")
        low = fleet.call("budget", run, "$0.000000001", check=False)
        self.assertEqual(low.returncode, 5, low)
        self.assertIn("is less than what is spent", low.stderr)
        fleet.call("kill", run)

    def test_a_lineage_has_its_own(self):
        fleet, model = self.fleet, self.model
        run = self.run_spending(50, "--budget", "$10", "--lineage-budget",
                                f"${LITTLE / 10**9:.9f}")
        lineage = fleet.tree(run)["run"]["lineages"][0]["lineage_id"]

        def stands():
            told = fleet.asked("show", lineage)["lineage"]
            return told if told["state"] == "LINEAGE_STATE_PAUSED" else None
        told = fleet.wait(stands, "the lineage is paused", 200)
        self.assertEqual(told["pause_reason"], "PAUSE_REASON_BUDGET", told)
        self.assertLessEqual(int(told["spent_nanousd"]), LITTLE)
        self.assertEqual(int(told["spent_nanousd"]), model.billed)
        self.assertGreater(model.billed, 0)
        self.assertIn("the lineage's budget", told["pause_details"])
        fleet.call("budget", lineage, "$1")
        fleet.call("resume", lineage)
        asked = model.asked
        fleet.wait(lambda: model.asked > asked, "it asks again")
        fleet.call("kill", run)

    def test_a_run_is_bounded_in_requests_and_in_tokens(self):
        fleet, model = self.fleet, self.model
        run = self.run_spending(50, "--budget", "$10", "--request-budget", "3")
        lineage = fleet.tree(run)["run"]["lineages"][0]["lineage_id"]
        details = self.paused_for_want(lineage)
        self.assertIn("the run's budget of 3 requests is spent", details)
        self.assertIn(f"`germline budget {run} --requests N`", details)
        self.assertEqual(model.asked, 3, fleet.logs())
        told = self.counted(run, "requests")
        self.assertEqual((told["budget"], told["spent"], told["held"]), (3, 3, 0))
        self.assertEqual(self.counted(run, "tokens")["spent"], 3 * (EACH_IN + EACH_OUT))
        self.assertIn("3 of 3 requests", fleet.call("tree", run).stdout)
        # More requests; and of tokens what one more request could take, and a bit.
        spent = 3 * (EACH_IN + EACH_OUT)
        fleet.call("budget", run, "--requests", "2k", "--tokens", str(spent + MOST_TOKENS))
        fleet.call("resume", lineage)
        details = self.paused_for_want(lineage)
        self.assertRegex(details, r"the run's budget of \S+ tokens ")
        # Money there is enough, and nothing is said of it.
        self.assertNotIn("$", details)
        self.assertNotIn("USD", details)
        told = self.counted(run, "tokens")
        self.assertEqual(told["spent"], model.asked * (EACH_IN + EACH_OUT), fleet.logs())
        self.assertLessEqual(told["spent"], told["budget"])
        self.assertGreater(model.asked, 3)
        low = fleet.call("budget", run, "--tokens", "1", check=False)
        self.assertEqual(low.returncode, 5, low)
        self.assertIn("is less than what is spent", low.stderr)
        wrong = fleet.call("budget", run, "--tokens", "$5", check=False)
        self.assertEqual(wrong.returncode, 2, wrong)
        asked = model.asked
        fleet.call("budget", run, "--tokens", "none")
        fleet.call("resume", lineage)
        fleet.wait(lambda: model.asked > asked, "it asks again")
        fleet.call("kill", run)

    def test_a_model_without_a_price_pauses_by_its_gateway_and_says_what_to_add(self):
        fleet = self.fleet
        run = fleet.run(self.spender(), 1, "--model", "unpriced-1", "--budget", "$1")
        lineage = fleet.tree(run)["run"]["lineages"][0]["lineage_id"]
        tree = fleet.wait(lambda: (text := fleet.call("tree", run).stdout) and "paused" in text
                          and " ".join(text.split()), "the lineage is paused")
        for words in ("paused (gateway)", "'unpriced-1' has no price in", "add a row for it",
                      "start the worker again", f"`germline resume {lineage}`"):
            self.assertIn(words, tree)

    def test_a_strict_replay_that_asks_something_else_is_told_as_that(self):
        fleet, model = self.fleet, self.model
        model.says = ["first"]
        differs = AGENT.replace('"noted"', "os.urandom(8).hex()")
        self.assertNotEqual(differs, AGENT)
        run = fleet.run(self.spender(differs), 1, "--model", "scripted-1", "--budget", "$1")
        fleet.settled(run, 1)
        told = fleet.call("replay", run, "--strict", "--follow", check=False)
        story = told.stdout + told.stderr + fleet.logs()
        self.assertEqual(told.returncode, 1, story)
        which = "the model was asked something else than was recorded: request 2 differs: "
        self.assertIn("is failed (difference): " + which, told.stdout, story)
        again = told.stdout.split()[0]
        (iteration,) = iterations_of(fleet.tree(again))
        self.assertEqual(iteration["reason"], "difference", story)
        self.assertIn("failed (difference)", fleet.call("tree", again).stdout)
        self.assertTrue(iteration["details"].startswith(which), story)

    def test_the_fleet_is_bounded_in_tokens_and_a_journal_gives_them_back(self):
        fleet, model = self.fleet, self.model
        fleet.environment["GERMLINE_FLEET_TOKEN_BUDGET"] = "20k/day"
        fleet.kill_and_restart("coordinator")
        fleet.await_worker()
        model.says = ["first", "wait"]
        run = self.run_spending(1, "--budget", "$10")
        fleet.wait(lambda: model.asked == 2 and not model.says, "the agent waits")
        held = self.counted(run, "tokens")["held"]
        self.assertGreater(held, MOST_TOKENS)
        self.assertLessEqual(held, 20_000)
        fleet.processes["worker"].kill()
        fleet.processes["worker"].wait(30)
        del fleet.processes["worker"]
        fleet.wait(lambda: self.counted(run, "tokens").get("unreconciled") == held,
                   "it is charged whole")
        fleet.start_worker()

        def is_told():
            told = self.counted(run, "tokens")
            return told["unreconciled"] == 0 and told["held"] == 0
        fleet.wait(is_told, "its journal is read", 100)
        told = fleet.asked("budget", "--fleet")["fleet"]["tokens"]
        self.assertEqual(int(told["spent_in_all"]), model.asked * (EACH_IN + EACH_OUT),
                         fleet.logs())
        self.assertEqual(int(told["budget"]), 20_000)
        self.assertTrue(told["per_day"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
