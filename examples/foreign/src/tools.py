"""The agent's tools. A tool is a function with a docstring; its parameters, all strings, are what
the model gives. Add one to TOOLS and it is offered."""
import inspect
import os


def list_files():
    """Lists the files of the working directory, hidden and built ones left out."""
    found = []
    for folder, folders, files in os.walk("."):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "build"]
        found += [os.path.relpath(os.path.join(folder, name)) for name in files]
    return "\n".join(sorted(found))


def read_file(path):
    """Gives the text of a file."""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read(100_000)


def replace_text(path, old, new):
    """Replaces the text `old`, which must occur exactly once in the file, by `new`."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    if text.count(old) != 1:
        raise ValueError(f"the old text occurs {text.count(old)} times in {path}; it must once")
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text.replace(old, new))
    return f"edited {path}"


TOOLS = [list_files, read_file, replace_text]


def offered():
    """What the model is told of the tools."""
    described = []
    for tool in TOOLS:
        names = list(inspect.signature(tool).parameters)
        described.append({
            "name": tool.__name__, "description": inspect.getdoc(tool),
            "input_schema": {"type": "object", "required": names,
                             "properties": {name: {"type": "string"} for name in names}}})
    return described


def call(name, given):
    """Calls a tool; its text, and whether that is an error."""
    for tool in TOOLS:
        if tool.__name__ == name:
            try:
                return tool(**given), False
            except (OSError, TypeError, ValueError) as problem:
                return f"{name} failed: {problem}", True
    names = ", ".join(tool.__name__ for tool in TOOLS)
    return f"there is no tool {name!r}; the tools are: {names}", True


def result_of(block):
    """The tool_result block for a tool_use block."""
    text, is_error = call(block["name"], block.get("input") or {})
    return {"type": "tool_result", "tool_use_id": block["id"], "is_error": is_error,
            "content": text or "(nothing)"}
