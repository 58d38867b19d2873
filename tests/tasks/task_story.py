"""A story for the scripted provider in which its model solves some of the tasks of examples/tasks,
and does nothing in the others."""
import json


def says(text):
    return {"content": [{"type": "text", "text": text}]}


def writes(path, text):
    return {"content": [{"type": "tool_use", "name": "str_replace_based_edit_tool", "input": {
        "command": "write", "path": path, "file_text": text}}]}


def looks():
    return {"content": [{"type": "tool_use", "name": "bash", "input": {
        "command": "cat README.md"}}]}


def steps_of(task, solved):
    """What is said in one task. One that is not solved has red tests, so it is asked twice more."""
    if not solved:
        return [{"name": "gives up", "reply": says("I see no way.")}] + [
            {"name": "still does", "when": [{"last_user_text_contains": "Its own tests fail"}],
             "reply": says("I still see none.")}] * 2
    root = task.folder / "hidden/solution"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    first = (task.folder / "repository/README.md").read_text(encoding="utf-8").split("\n")[0]
    guard = [{"tools_include": "bash"}, {"system_contains": "a small repository that is not yours"}]
    steps = [{"name": "looks", "when": guard, "reply": looks()}]
    when = [{"last_tool_result_contains": first}]
    for path in files:
        reply = writes(str(path.relative_to(root)), path.read_text(encoding="utf-8"))
        steps.append({"name": f"writes {path.name}", "when": when, "reply": reply})
        when = [{"last_tool_result_contains": "Replaced"}]
    return [*steps, {"name": "is done", "when": when, "reply": says("It is mended.")}]


def lanes(tasks, solved):
    """A lane for each task."""
    return [{"lane": task.name, "match": [{"any_message_contains": "The task: " + task.title}],
             "steps": steps_of(task, task.name in solved)} for task in tasks]


def write_story(path, made):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"lanes": made}, file)
