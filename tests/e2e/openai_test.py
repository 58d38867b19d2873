#!/usr/bin/env python3
"""An agent that speaks OpenAI's Chat Completions, from its manifest to its model and back.

Usage: openai_test.py GERMLINE_BINARY. Needs root. The model is this test's own, on loopback: asked
in the agent's dialect first and, once it does not answer in that one any more, in Anthropic's, into
which the gateway then translates. What was said is read by `logs --llm`, and replayed in its place.
"""
import http.server
import json
import os
import sys
import threading
import unittest

from fleet import FleetApart, iterations_of

GERMLINE = sys.argv.pop(1)

GENOME = """\
schema = 1

[genome]
name = "speaks-openai"

[agent]
build = "mkdir -p build && cp agent.py build/agent && chmod 755 build/agent"
artefact = ["build/agent"]
run = "build/agent"
result = "worktree"
model = "openai"

[protect]
paths = ["protected/**"]
tests = "protected/run"

[sandbox]
memory = "256MiB"
wall_time = "60s"
"""

AGENT = """\
#!/usr/bin/python3
import json
import os
import urllib.request

with open("/germline/task.json") as file:
    MODEL = json.load(file)["model"]
TOOL = {"type": "function", "function": {"name": "note", "parameters": {
    "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}}}


def ask(messages):
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json.dumps({"model": MODEL, "messages": messages, "tools": [TOOL]}).encode(),
        {"content-type": "application/json",
         "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["choices"][0]


messages = [{"role": "user", "content": "What shall I note?"}]
choice = ask(messages)
while choice["finish_reason"] == "tool_calls":
    messages.append(choice["message"])
    for call in choice["message"]["tool_calls"]:
        with open("notes", "a") as notes:
            notes.write(json.loads(call["function"]["arguments"])["text"] + "\\n")
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": "noted"})
    choice = ask(messages)
"""

PROTECTED = """\
#!/bin/sh
printf '<testsuite name="protected"><testcase classname="protected" name="is_there"/></testsuite>' \\
  >&"${GERMLINE_REPORT_FD:?}"
"""


class Model:
    """Has one thing to note, and then no more, in the dialect in which it is asked."""

    def __init__(self):
        self.asked = []  # path and body
        self.speaks_chat = True
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                model.asked.append((self.path, body))
                answers = {"/v1/chat/completions": model.chat, "/v1/messages": model.messages}
                status, answer = answers[self.path](body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def chat(self, body):
        if not self.speaks_chat:
            return 503, {"error": {"message": "not in this dialect"}}
        message, finish = {"role": "assistant", "content": "done"}, "stop"
        if body["messages"][-1]["role"] == "user":
            call = {"name": "note", "arguments": '{"text": "in chat"}'}
            message = {"role": "assistant", "content": None,
                       "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
            finish = "tool_calls"
        return 200, {"id": "c", "model": "m", "choices": [
            {"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5}}

    def messages(self, body):
        content, stop = [{"type": "text", "text": "done"}], "end_turn"
        if body["messages"][-1]["content"][0]["type"] == "text":
            content = [{"type": "tool_use", "id": "toolu_1", "name": "note",
                        "input": {"text": "in messages"}}]
            stop = "tool_use"
        return 200, {"id": "m", "model": "m", "type": "message", "role": "assistant",
                     "content": content, "stop_reason": stop,
                     "usage": {"input_tokens": 10, "output_tokens": 5}}


class SpeaksOpenai(unittest.TestCase):
    def setUp(self):
        self.model = Model()
        self.addCleanup(self.model.server.server_close)
        self.addCleanup(self.model.server.shutdown)
        self.fleet = fleet = FleetApart(GERMLINE)
        self.addCleanup(fleet.stop)
        upstream = '[[upstream]]\nname = "{0}"\nurl = "http://127.0.0.1:{1}"\ndialects = ["{0}"]\n'
        self.configure(upstream.format("chat_completions", self.model.port) +
                       upstream.format("messages", self.model.port))
        fleet.start()

    def configure(self, upstream):
        self.transcripts = self.fleet.use_upstream(upstream, each_out=2 * 10**9)

    def genome(self):
        place = self.fleet.example("two-second")
        files = {"genome.toml": GENOME, "agent.py": AGENT, "protected/run": PROTECTED}
        for name, text in files.items():
            self.fleet.write(place, name, text)
        self.fleet.commit(place, "an agent that speaks OpenAI's dialect")
        return place

    def evolve(self, expected):
        fleet = self.fleet
        self.model.asked.clear()
        run = fleet.run(self.genome(), 1, "--model", "scripted-1", "--budget", "$1")
        tree, ended = fleet.settled(run, 1)
        story = json.dumps(tree, indent=1) + json.dumps(self.model.asked) + fleet.logs()
        self.assertEqual([one["ending"] for one in ended], ["ENDING_EVOLVED"], story)
        self.assertIn(f"+{expected}", fleet.call("diff", ended[0]["item_id"]).stdout)
        # Of two answers, each of ten tokens and five.
        self.assertEqual(int(tree["run"]["spent_nanousd"]), 2 * (10 * 1000 + 5 * 2000), story)
        self.ended, self.run_id = ended[0], run
        return [path for path, _ in self.model.asked]

    def test_it_is_served_in_its_own_dialect_and_by_translation(self):
        self.assertEqual(self.evolve("in chat"), ["/v1/chat/completions"] * 2)
        self.model.speaks_chat = False
        asked = self.evolve("in messages")
        self.assertEqual(asked.count("/v1/messages"), 2, asked)
        results = [block for path, body in self.model.asked if path == "/v1/messages"
                   for block in body["messages"][-1]["content"] if block["type"] == "tool_result"]
        self.assertEqual([block["tool_use_id"] for block in results], ["toolu_1"])

    def test_what_was_said_is_read_and_replayed(self):
        fleet = self.fleet
        self.evolve("in chat")
        for target in (self.ended["item_id"], self.ended["generation_id"]):
            said = fleet.call("logs", "--llm", target, "--directory", self.transcripts).stdout
            self.assertIn("  user:\n    What shall I note?\n  assistant calls note:\n    "
                          '{"text": "in chat"}\n\n#2 ', said)
            self.assertIn("  result of note:\n    noted\n  assistant:\n    done\n", said)
            self.assertEqual(said.count("What shall I note?"), 1, said)
        # The founding, which asked no model, is not told as one whose transcript is missing.
        said = fleet.call("logs", "--llm", self.run_id, "--directory", self.transcripts)
        self.assertEqual(said.stdout.count("What shall I note?"), 1, said.stdout)
        self.assertNotIn("transcript", said.stderr)
        (attempt,) = (one["attempt_id"] for one in self.ended["attempts"])
        recorded = fleet.call("logs", "--llm", attempt, "--json", "--directory",
                              self.transcripts).stdout
        fleet.write(fleet.root, "recorded.jsonl", recorded)
        self.configure(f'[upstream]\nreplay = "{fleet.root}/recorded.jsonl"\n')
        worker = fleet.processes.pop("worker")
        worker.terminate()
        worker.wait(30)
        fleet.start_worker()
        fleet.await_worker()
        self.assertEqual(self.evolve("in chat"), [])

    def test_a_run_is_done_again_by_its_transcripts(self):
        fleet = self.fleet
        self.evolve("in chat")
        run = fleet.tree(self.ended["item_id"])["run"]["run_id"]
        self.model.asked.clear()
        again = fleet.call("replay", run, "--follow")
        self.assertIn("of 1 iteration 1 is the same", again.stdout)
        self.assertEqual(self.model.asked, [])
        replayed = fleet.tree(again.stdout.split()[0])["run"]
        self.assertEqual(replayed["spent_nanousd"], fleet.tree(run)["run"]["spent_nanousd"])
        # Where the transcript is not, it is said, and nobody is asked.
        (attempt,) = (one["attempt_id"] for one in self.ended["attempts"])
        transcript = f"{self.transcripts}/{attempt}.jsonl"
        os.rename(transcript, transcript + ".gone")
        waiting = fleet.asked("replay", run)["run_id"]

        def told():
            live = iterations_of(fleet.tree(waiting) or {"iterations": []})
            return any("has no transcript of" in one["details"]
                       for each in live for one in each["attempts"])
        fleet.wait(told, "it is said that there is no transcript")
        self.assertIn("has no transcript of", fleet.call("tree", waiting).stdout)
        os.rename(transcript + ".gone", transcript)
        fleet.settled(waiting, 1)
        self.assertIn("1 is the same", fleet.call("compare", waiting).stdout)
        self.assertEqual(self.model.asked, [])
        # Asked anew the model says it in another dialect: what it notes is another thing.
        self.model.speaks_chat = False
        other = fleet.call("replay", run, "--live", "--follow", check=False)
        self.assertEqual(other.returncode, 1, other.stdout + other.stderr + fleet.logs())
        self.assertIn("First difference: iteration 1 of lineage 1: source was", other.stdout)
        self.assertIn("/v1/messages", [path for path, _ in self.model.asked])


if __name__ == "__main__":
    unittest.main(verbosity=2)
