#!/usr/bin/env python3
"""End to end on one machine: candidates that are agents are tried on tasks, with a model of their
own that is metered, bounded and cut as an agent's is.

Usage: evaluation_model_test.py GERMLINE_BINARY SCRIPTED_UPSTREAM. Needs root. Everything it starts
it ends, by pid.
"""
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from fleet import FleetApart, sandbox_pids

UPSTREAM = sys.argv.pop(2)
GERMLINE = sys.argv.pop(1)

# Nano-dollars a token, of what goes in and what comes out.
IN, OUT = 1_000, 2_000

# Asks the model each line that the evaluator says, and says what it answers, or how it refused.
CANDIDATE = """#!/usr/bin/python3
import json
import os
import sys
import urllib.error
import urllib.request


def ask(words):
    request = urllib.request.Request(
        os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages",
        json.dumps({"model": os.environ["GERMLINE_MODEL"], "max_tokens": 10,
                    "messages": [{"role": "user", "content": words}]}).encode(),
        {"content-type": "application/json", "x-api-key": os.environ["ANTHROPIC_API_KEY"]})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["content"][0]["text"]
    except urllib.error.HTTPError as refusal:
        return f"refused {refusal.code}"


for line in sys.stdin:
    print(ask(line.strip()), flush=True)
"""

# Has one question, and no model of its own.
ASKS_ONCE = """#!/bin/sh
env | grep -E 'API_KEY|BASE_URL|GERMLINE_MODEL' >&2 && exit 7
/usr/bin/python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8080), 2)' 2>/dev/null &&
  exit 8
echo "What is six times seven?"
read -r answer
echo "it says $answer" >&2
if [ "$answer" = "$(cat "$GERMLINE_HELD_OUT/answer")" ]; then score=1; else score=0; fi
printf '{"score": %s}' "$score" >&3
"""
# Goes on until the candidate is refused.
ASKS_ON = """#!/bin/sh
asked=0
while echo "And again?" && read -r answer && [ "$answer" = again ]; do asked=$((asked + 1)); done
echo "at last: $answer" >&2
printf '{"score": %d}' "$asked" >&3
"""


class Model:
    """Answers as its test says."""

    def __init__(self):
        self.asked = 0
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.gone = threading.Event()  # who asked went away before the answer
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                model.asked += 1
                model.may_answer.wait(60)
                answer = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
                if model.status == 200:
                    answer = {"id": "m", "model": "m", "type": "message", "role": "assistant",
                              "content": [{"type": "text", "text": "again"}],
                              "stop_reason": "end_turn",
                              "usage": {"input_tokens": 10, "output_tokens": 5}}
                text = json.dumps(answer).encode()
                try:
                    if self.connection.recv(1, 0x42) == b"":  # MSG_PEEK | MSG_DONTWAIT
                        model.gone.set()
                except BlockingIOError:
                    pass
                self.send_response(model.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


class WithModel(unittest.TestCase):
    def start(self, port):
        self.fleet = fleet = FleetApart(GERMLINE)
        self.addCleanup(fleet.stop)
        self.transcripts = fleet.use_upstream(
            f'[upstream]\nurl = "http://127.0.0.1:{port}"\n', IN * 10**6, OUT * 10**6)
        fleet.start()

    def genome(self, evaluator, behaviour="stall"):
        """The two-second genome, which asks no model; its candidate does."""
        fleet = self.fleet
        place = fleet.genome(behaviour)
        fleet.write(place, "candidate.py", CANDIDATE)
        fleet.write(place, "protected/evaluate", evaluator)
        os.chmod(place + "/protected/evaluate", 0o755)
        with open(place + "/build.sh", "a") as file:
            file.write("cp candidate.py build/candidate; chmod 755 build/candidate\n")
        with open(place + "/genome.toml") as file:
            text = file.read().replace('artefact = ["build/evolve"]',
                                       'artefact = ["build/evolve", "build/candidate"]')
        fleet.write(place, "genome.toml", text + '\n[fitness]\ncommand = "protected/evaluate"\n'
                    'run = "build/candidate"\nmodel = "anthropic"\nwall_time = "60s"\n')
        fleet.commit(place, "measured")
        return place

    def run_of(self, evaluator, each, *words, behaviour="stall"):
        return self.fleet.run(self.genome(evaluator, behaviour), 1, "--model", "scripted-1",
                              "--budget", "$1", "--evaluation-budget", each, *words)

    def measured(self, run, seconds=120):
        self.fleet.settled(run, 1)

        def holds():
            tree = self.fleet.tree(run)
            done = tree and all(e["ending"] != "ENDING_UNSPECIFIED" for e in tree["evaluations"])
            return tree if done else None
        tree = self.fleet.wait(holds, f"all of {run} is measured", seconds)
        return tree, json.dumps(tree, indent=1) + self.fleet.logs()


class Scripted(WithModel):
    def test_a_candidate_asks_and_is_scored_by_what_it_answers(self):
        story = {"steps": [
            {"name": f"{i}", "when": [{"last_user_text_contains": "six times seven"}],
             "reply": {"content": [{"type": "text", "text": text}]}}
            for i, text in enumerate(("41", "42"))]}
        place = tempfile.mkdtemp(prefix="germline-story-")
        self.addCleanup(shutil.rmtree, place)
        with open(place + "/story.json", "w") as file:
            json.dump(story, file)
        upstream = subprocess.Popen(
            [UPSTREAM, "--listen", "127.0.0.1:0", "--story", place + "/story.json"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(upstream.stdout.close)
        self.addCleanup(upstream.wait)
        self.addCleanup(upstream.terminate)
        self.start(int(upstream.stdout.readline()))
        fleet = self.fleet

        held = os.path.join(fleet.root, "held")
        os.mkdir(held)
        fleet.write(held, "answer", "42\n")
        run = self.run_of(ASKS_ONCE, "$0.01", "--held-out", held, behaviour="evolve")
        tree, story = self.measured(run)
        self.assertEqual([e["ending"] for e in tree["evaluations"]], ["ENDING_SCORED"] * 2, story)
        self.assertEqual([e["score"]["score"] for e in tree["evaluations"]], [0, 1], story)
        costs = [int(e["usage"]["cost_nanousd"]) for e in tree["evaluations"]]
        self.assertGreater(min(costs), 0, story)
        self.assertEqual(int(tree["run"]["spent_nanousd"]), sum(costs), story)
        self.assertEqual(int(tree["run"]["lineages"][0]["spent_nanousd"]), costs[1], story)
        first, second = (e["item_id"] for e in tree["evaluations"])
        self.assertIn("it says 42", fleet.call("show", second).stdout)
        self.assertIn("cost", fleet.call("show", first).stdout)
        self.assertIn("at most $0.01 each", fleet.call("show", run).stdout)
        for target, answer in ((first, "41"), (second, "42"),
                               (tree["generations"][1]["generation_id"], "42"), (run, "41")):
            said = fleet.call("logs", "--llm", target, "--directory", self.transcripts).stdout
            self.assertIn("What is six times seven?", said)
            self.assertIn(f"assistant:\n    {answer}\n", said)

    def test_what_an_evaluation_may_cost_has_to_be_said(self):
        self.start(1)
        place = self.genome(ASKS_ONCE)
        for words, says in (
                (("--model", "scripted-1", "--budget", "$1"), "--evaluation-budget"),
                (("--model", "scripted-1", "--budget", "$1", "--evaluation-budget", "$2"),
                 "no more than the run's budget, $1.00: not $2.00"),
                (("--evaluation-budget", "$2"), "needs --model"),
                (("--model", "scripted-1", "--budget", "$1", "--evaluation-budget", "much"),
                 "--evaluation-budget: 'much'")):
            told = self.fleet.call("run", place, *words, check=False)
            self.assertEqual(told.returncode, 2, told.stderr)
            self.assertIn(says, told.stderr)


class Bounded(WithModel):
    def setUp(self):
        self.model = Model()
        self.addCleanup(self.model.stop)
        self.start(self.model.port)

    def test_a_candidate_that_spends_its_bound_is_refused_and_judged(self):
        # A request is bounded by some 2.1 million nano-dollars, of which it costs a hundredth.
        each = 20_000
        run = self.run_of(ASKS_ON, "$0.0023")
        tree, story = self.measured(run)
        (evaluation,) = tree["evaluations"]
        self.assertEqual(evaluation["ending"], "ENDING_SCORED", story)
        asked = int(evaluation["score"]["score"])
        self.assertEqual(asked, self.model.asked, story)
        self.assertGreater(asked, 1, story)
        self.assertEqual(int(tree["run"]["spent_nanousd"]), asked * each, story)
        self.assertLessEqual(asked * each, 2_300_000, story)
        shown = self.fleet.call("show", evaluation["item_id"]).stdout
        self.assertIn("at last: refused", shown)
        self.assertIn("a request to the model was refused: ", shown)

    def test_what_was_measured_while_the_provider_was_away_counts_for_nothing(self):
        self.model.status = 529
        run = self.run_of(ASKS_ON, "$0.01")

        def lost():
            tree = self.fleet.tree(run)
            attempts = tree["evaluations"][0]["attempts"] if tree and tree["evaluations"] else []
            return [a for a in attempts if a["state"] == "ATTEMPT_STATE_LOST"]
        (first, *_) = self.fleet.wait(lost, "an attempt without an answer is lost", 120)
        self.assertIn("the model gave no answer that could be used", first["details"])
        self.model.status = 200
        tree, story = self.measured(run)
        (evaluation,) = tree["evaluations"]
        self.assertEqual(evaluation["ending"], "ENDING_SCORED", story)
        self.assertGreater(evaluation["score"]["score"], 0, story)

    def await_request(self, each="$0.01"):
        self.model.may_answer.clear()
        run = self.run_of(ASKS_ON, each)
        self.fleet.wait(lambda: self.model.asked, "the candidate asks")
        return run

    def test_kill_cuts_what_a_candidate_asks(self):
        run = self.await_request()
        killed = self.fleet.asked("kill", run)
        self.assertEqual(sandbox_pids(), [], killed)
        self.assertIn("KILL_PROOF_KILLED", [line["proof"] for line in killed["lineages"]])
        self.model.may_answer.set()
        self.assertTrue(self.model.gone.wait(10), "the request was not cut")
        tree = self.fleet.tree(run)
        self.assertEqual(tree["evaluations"][0]["ending"], "ENDING_KILLED")
        # Nobody knows what the provider makes of it: the request's bound is spent, and no more.
        spent = self.fleet.wait(lambda: int(self.fleet.tree(run)["run"]["spent_nanousd"]), "settled")
        self.assertLess(spent, 5_000_000)

    def test_an_evaluation_whose_worker_is_lost_is_charged_by_its_journal(self):
        run = self.await_request()
        self.fleet.kill_and_restart("worker")
        self.model.may_answer.set()
        self.fleet.await_worker()
        tree, story = self.measured(run)
        (evaluation,) = tree["evaluations"]
        self.assertEqual([a["state"] for a in evaluation["attempts"]],
                         ["ATTEMPT_STATE_LOST", "ATTEMPT_STATE_FINISHED"], story)

        def purse():
            told = self.fleet.asked("budget", run)["runs"][0]
            return told if told["unreconciled_nanousd"] == "0" else None
        told = self.fleet.wait(purse, "the journal of the lost attempt is read")
        lost = int(told["spent_nanousd"]) - int(evaluation["usage"]["cost_nanousd"])
        # Of the request under way the bound, and not all of the evaluation's.
        self.assertGreater(lost, 0, story)
        self.assertLess(lost, 5_000_000, story)

    def test_a_budget_that_is_spent_ends_evaluations_legibly(self):
        # The first attempt's journal is lost: it is charged whole, and nothing is left for another.
        run = self.await_request("$0.6")
        self.fleet.processes["worker"].kill()
        self.fleet.processes.pop("worker").wait(30)
        accounts = self.fleet.state + "/worker/accounts"
        for name in os.listdir(accounts):
            os.remove(os.path.join(accounts, name))
        self.fleet.start_worker()
        self.model.may_answer.set()
        self.fleet.await_worker()

        def ended():
            tree = self.fleet.tree(run)
            lineage = tree and tree["run"]["lineages"][0]
            return tree if lineage and lineage["state"] == "LINEAGE_STATE_PAUSED" and \
                tree["evaluations"][0]["ending"] != "ENDING_UNSPECIFIED" else None
        tree = self.fleet.wait(ended, "the budget is spent", 120)
        (evaluation,) = tree["evaluations"]
        self.assertEqual((evaluation["ending"], evaluation["reason"]), ("ENDING_FAILED", "budget"))
        says = "an evaluation may cost $0.60, and of $1.00 the run has $0.40 left"
        self.assertEqual(evaluation["details"],
                         f"{says}: raise it with `germline budget {run} USD`")
        self.assertIn(says, self.fleet.call("show", tree["generations"][0]["generation_id"]).stdout)
        # Nothing is born any more that could not be measured.
        self.assertIn("paused (budget)", self.fleet.call("ps", "--all").stdout)
        self.assertIn("budget", self.fleet.call("tree", run).stdout)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
