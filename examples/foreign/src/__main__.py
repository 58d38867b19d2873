"""The agent: asks the model, runs the tools that it calls, until it ends its turn.

`agent` makes one iteration; `agent tool NAME` calls one tool with the JSON object on stdin.
"""
import json
import os
import sys

import model
import tools

MAX_TURNS = 30


def first_message(task, context):
    lines = [f"You are improving your own source, in {os.getcwd()}. Make one small change to it "
             "and to its tests. Change neither genome.toml nor protected/.",
             f"Goal: {task.get('goal') or context.get('goalState', '')}"]
    lines += [f"Note: {note['text']}" for note in task.get("notes", [])]
    lines += [f"Earlier, {entry['result']}: {entry['action']}: {entry['details'][:1000]}"
              for entry in context.get("history", [])[-10:]]
    return "\n".join(lines)


def iterate():
    with open(os.environ.get("GERMLINE_TASK", "/germline/task.json"), encoding="utf-8") as file:
        task = json.load(file)
    os.chdir(task["workspace"])
    with open(task["context_path"], encoding="utf-8") as file:
        context = json.load(file)
    messages = [{"role": "user", "content": first_message(task, context)}]
    for _ in range(MAX_TURNS):
        answer = model.ask(task["model"], tools.offered(), messages)
        content = answer["content"] or [{"type": "text", "text": "(no answer)"}]
        messages.append({"role": "assistant", "content": content})
        results = [tools.result_of(block) for block in content if block["type"] == "tool_use"]
        if not results:
            return 0
        messages.append({"role": "user", "content": results})
    return 0


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "tool":
        text, is_error = tools.call(sys.argv[2], json.load(sys.stdin))
        print(text)
        return 1 if is_error else 0
    try:
        return iterate()
    except model.Unreachable as problem:
        print(f"agent: {problem}", file=sys.stderr)
        return 3


sys.exit(main())
