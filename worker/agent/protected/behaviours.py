"""What every generation must still do: one function a behaviour, `it_...(stage)`.

The names are recorded when the seed is founded. The model of these tests does not depend on how an
agent asks: it makes its calls in the first answers and then says the same to every question.
"""
import json

from harness import expect
from scripted_model import Status, message

EDIT = "str_replace_based_edit_tool"
SAY = 'It is done. {"achieved": false, "why": "not yet", "goal": "Greet better."}'


def results_in(request):
    """The tool results of the last message."""
    content = request["messages"][-1]["content"]
    return [] if isinstance(content, str) else [b for b in content if b["type"] == "tool_result"]


def text_of(result):
    content = result["content"]
    return content if isinstance(content, str) else "".join(b.get("text", "") for b in content)


def model(*replies):
    """Gives the replies in order, then always says SAY. A reply may be an exception."""
    left = list(replies)

    def answer(_):
        if not left:
            return message(SAY)
        reply = left.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply
    return answer


def change(text="goodbye\n"):
    return message((EDIT, {"command": "write", "path": "greeting.txt", "file_text": text}))


def history_of(stage):
    return json.loads(stage.pushed("agent_context.json"))["history"]


def file_text(stage, name):
    return stage.shell(f"cat {stage.workspace}/{name}")


def put(stage, name, content):
    stage.shell(f"mkdir -p {stage.workspace}; printf '{content}' > {stage.workspace}/{name}")


# The request


def it_sends_a_valid_request(stage):
    stage.clone()
    _, requests = stage.iterate(model())
    first = requests[0]
    expect(first["model"] == "scripted", "the model is not the task's")
    expect(isinstance(first["max_tokens"], int) and first["max_tokens"] > 0, "no max_tokens")
    expect(first["messages"][0]["role"] == "user", "the first message is not a user's")


def it_offers_its_tools(stage):
    stage.clone()
    _, requests = stage.iterate(model())
    names = {tool["name"] for tool in requests[0]["tools"]}
    missing = {"bash", EDIT, "build", "test"} - names
    expect(not missing, f"not offered: {sorted(missing)}")
    expect(all(tool["input_schema"]["type"] == "object" for tool in requests[0]["tools"]),
           "an input schema is no object's")


def it_tells_the_model_its_history(stage):
    stage.clone(history=[{"timestamp": "2026-01-01T00:00:00Z", "action": "greeting",
                          "result": "failure", "details": "the case it_was_too_loud failed"}])
    _, requests = stage.iterate(model())
    expect("it_was_too_loud" in json.dumps(requests[0]["messages"]), "the failure is not told")


def it_returns_a_tool_result(stage):
    stage.clone()
    _, requests = stage.iterate(model(message(("bash", {"command": "echo $((6 * 7))"}))))
    results = results_in(requests[1])
    expect(len(results) == 1 and results[0]["tool_use_id"] == "toolu_0_bash", "no result")
    expect("42" in text_of(results[0]), "the result is not what the command printed")
    expect(not results[0].get("is_error"), "the result is marked as an error")


# What goes wrong


def it_tries_again_when_overloaded(stage):
    stage.clone()
    code, requests = stage.iterate(model(Status(429, retry_after="0"), Status(529, retry_after="0"),
                                         change()))
    expect(code == 0, f"it ended with {code}")
    expect(len(requests) > 3 and requests[0] == requests[2], "it did not send the request again")
    expect(stage.pushed("greeting.txt") == "goodbye\n", "the change was not pushed")


def it_remembers_a_refused_request(stage):
    stage.clone()
    code, requests = stage.iterate(model(*[Status(400)] * 50))
    expect(code != 0, "it ended as if all were well")
    expect(len(requests) == 1, f"it sent a refused request {len(requests)} times")
    expect(history_of(stage)[-1]["result"] == "failure", "the failure is not in its memory")


def it_answers_malformed_calls(stage):
    stage.clone()
    code, requests = stage.iterate(model(
        message(("no_such_tool", {}), (EDIT, {"path": 7}), ("bash", {"command": ["x"]}))))
    results = results_in(requests[1])
    expect(len(results) == 3, f"3 calls got {len(results)} results")
    expect(all(result.get("is_error") for result in results), "a malformed call is no error")
    expect(code == 0, f"it ended with {code}")


def it_does_not_run_a_call_that_was_cut_off(stage):
    stage.clone()
    _, requests = stage.iterate(model(
        message((EDIT, {"command": "create", "path": "cut.txt", "file_text": "half"}),
                stop_reason="max_tokens")))
    results = results_in(requests[1])
    expect(results and results[0].get("is_error"), "the call was not answered with an error")
    expect("cut.txt" not in stage.pushed_paths(), "the call was run")


def it_ends_a_repetition(stage):
    stage.clone()
    same = message(("bash", {"command": "echo again"}))
    code, requests = stage.iterate(lambda _: same)
    expect(len(requests) < 100, "only the budget ended it")
    expect(code == 0, f"it ended with {code}")


def it_survives_a_refusal(stage):
    stage.clone()
    code, _ = stage.iterate(lambda _: message("I will not.", stop_reason="refusal"))
    expect(code == 0, f"it ended with {code}")
    expect(history_of(stage)[-1]["result"] == "failure", "the failure is not in its memory")


# What it leaves


def it_pushes_code_and_memory(stage):
    stage.clone()
    code, _ = stage.iterate(model(change()))
    expect(code == 0, f"it ended with {code}")
    expect(sorted(stage.pushed_paths()) == ["agent_context.json", "greeting.txt"],
           f"it pushed {stage.pushed_paths()}")
    expect(history_of(stage)[-1]["result"] == "success", "the success is not in its memory")


def it_keeps_what_it_does_not_know_in_its_memory(stage):
    entry = {"timestamp": "2026-01-01T00:00:00Z", "action": "a", "result": "success",
             "details": "d", "score": 3}
    stage.clone(history=[entry])
    stage.iterate(model(change()))
    context = json.loads(stage.pushed("agent_context.json"))
    expect(context["kept"] == [1] and context["history"][0] == entry, "something was lost")


def it_pushes_memory_alone_when_nothing_changed(stage):
    stage.clone()
    code, _ = stage.iterate(model())
    expect(code == 0, f"it ended with {code}")
    expect(stage.pushed_paths() == ["agent_context.json"], f"it pushed {stage.pushed_paths()}")


def it_pushes_memory_alone_when_validation_fails(stage):
    stage.clone()
    stage.write_task(test_command="echo the_red_case; false")
    code, requests = stage.iterate(model(change()))
    expect(code == 0, f"it ended with {code}")
    expect("the_red_case" in json.dumps(requests[-1]["messages"]), "the model was not told")
    expect(stage.pushed_paths() == ["agent_context.json"], f"it pushed {stage.pushed_paths()}")
    expect(history_of(stage)[-1]["result"] == "failure", "the failure is not in its memory")


def it_leaves_protected_paths_alone(stage):
    stage.clone()
    stage.iterate(model(message(("bash", {"command": "echo x > protected/run; rm genome.toml; "
                                                     "echo more >> greeting.txt"}))))
    paths = stage.pushed_paths()
    expect("protected/run" not in paths and "genome.toml" not in paths, f"it pushed {paths}")


# The tools


def it_replaces_exactly_once(stage):
    put(stage, "f", "a\\tone\\nb\\n")
    done, = stage.tool(EDIT, {"command": "str_replace", "path": "f", "old_str": "\tone",
                              "new_str": "\ttwo"})
    expect(not done["is_error"], f"refused: {done['text']}")
    expect(file_text(stage, "f") == "a\ttwo\nb\n", "other bytes changed")


def it_refuses_to_replace_what_is_not_unique(stage):
    put(stage, "f", "one\\ntwo\\none\\n")
    done, = stage.tool(EDIT, {"command": "str_replace", "path": "f", "old_str": "one",
                              "new_str": "three"})
    expect(done["is_error"], "a text that occurs twice was replaced")
    expect(file_text(stage, "f") == "one\ntwo\none\n", "the file changed")


def it_refuses_to_replace_what_is_not_there(stage):
    put(stage, "f", "one\\n")
    done, = stage.tool(EDIT, {"command": "str_replace", "path": "f", "old_str": "One",
                              "new_str": "x"})
    expect(done["is_error"] and file_text(stage, "f") == "one\n", "something was replaced")


def it_keeps_line_ends(stage):
    put(stage, "f", "a\\r\\nb\\r\\nlast")
    stage.tool(EDIT, {"command": "str_replace", "path": "f", "old_str": "b", "new_str": "c"})
    expect(stage.shell(f"od -c {stage.workspace}/f | head -1").split()[1:] ==
           ["a", "\\r", "\\n", "c", "\\r", "\\n", "l", "a", "s", "t"], "line ends changed")


def it_refuses_to_create_over_a_file(stage):
    first, second = stage.tool(
        EDIT, {"command": "create", "path": "new/f", "file_text": "1"},
        {"command": "create", "path": "new/f", "file_text": "2"})
    expect(not first["is_error"], f"a new file was refused: {first['text']}")
    expect(second["is_error"] and file_text(stage, "new/f") == "1", "the file was overwritten")


def it_inserts_lines(stage):
    put(stage, "f", "b\\n")
    stage.tool(EDIT, {"command": "insert", "path": "f", "insert_line": 0, "insert_text": "a\n"},
               {"command": "insert", "path": "f", "insert_line": 2, "new_str": "c\n"})
    expect(file_text(stage, "f") == "a\nb\nc\n", "the lines are not where they belong")


def it_views_a_range_of_lines(stage):
    put(stage, "f", "one\\ntwo\\nthree\\n")
    done, = stage.tool(EDIT, {"command": "view", "path": "f", "view_range": [2, 2]})
    expect("two" in done["text"] and "one" not in done["text"] and "three" not in done["text"],
           "the range is not what was shown")


def it_keeps_the_state_of_its_shell(stage):
    stage.shell(f"mkdir -p {stage.workspace}/sub")
    _, done = stage.tool("bash", {"command": "cd sub; word=kept; sleep 900 & job=$!"},
                         {"command": "basename $PWD; echo $word; kill -0 $job && echo alive"})
    expect(done["text"].split()[:3] == ["sub", "kept", "alive"], f"lost: {done['text']!r}")


def it_frees_its_shell_at_a_time_limit(stage):
    _, stopped, after = stage.tool("bash", {"command": "word=kept"},
                                   {"command": "while :; do :; done", "timeout_s": 1},
                                   {"command": "echo $word"})
    expect(stopped["is_error"], "the limit is not told")
    expect("kept" in after["text"], "the shell is not usable after it")


def it_bounds_the_output_of_commands(stage):
    done, = stage.tool("bash", {"command": "echo head; head -c 900000 /dev/zero | tr '\\0' x; "
                                           "echo; echo tail"})
    expect(len(done["text"]) < 100_000, "the output is not bounded")
    expect("head" in done["text"] and "tail" in done["text"], "head or tail is missing")


def it_builds_and_tests_by_the_task(stage):
    stage.write_task(build_command="echo built", test_command="echo tested; exit 3")
    built, = stage.tool("build", {})
    tested, = stage.tool("test", {})
    expect("built" in built["text"] and not built["is_error"], "build did not run its command")
    expect("tested" in tested["text"] and tested["is_error"], "test did not run its command")


# Task mode


def it_does_the_tasks_of_an_evaluator(stage):
    mends = message((EDIT, {"command": "str_replace", "path": "say.sh", "old_str": "helo",
                            "new_str": "hello"}))
    (solved, ran), requests = stage.task_mode(
        model(message("Is it right?"), mends),
        {"id": 1, "do": "solve", "task": "say", "title": "A greeting", "text": "Mend the greeting.",
         "files": [{"path": "say.sh", "text": "echo helo $1\n", "executable": False}],
         "run": ["sh", "say.sh"], "test": "grep -q hello say.sh || { echo the_red_case; false; }",
         "seconds": 100},
        {"id": 2, "do": "run", "arguments": ["you"], "stdin": "", "seconds": 20})
    expect(solved == {"id": 1}, f"the work was answered by {solved}")
    expect(ran == {"exit": 0, "stdout": "hello you\n", "id": 2}, f"the run was answered by {ran}")
    expect("Mend the greeting." in json.dumps(requests[0]["messages"]), "the task is not told")
    expect("the_red_case" in json.dumps(requests[1]["messages"]), "the red test is not told")
