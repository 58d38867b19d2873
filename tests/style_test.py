#!/usr/bin/env python3
"""Holds the tree to the house style: layers, file length, headers, and words.

Usage: style_test.py SOURCE_DIR. Prints every breach as file:line: text; ends 1 when there is one.
"""
import pathlib
import re
import subprocess
import sys

# A folder may include from itself and from these.
LAYERS = {
    "common": set(),
    "sandbox": {"common", "proto"},
    "coordinator": {"common", "proto"},
    "worker": {"common", "proto", "sandbox"},
    "cli": {"common", "proto", "sandbox", "worker", "coordinator"},
}
MAX_LINES = 700
MAX_COLUMNS = 100


def sources(root):
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True).stdout.split("\n")
    for name in listed:
        path = pathlib.Path(name)
        if path.suffix in {".hpp", ".cpp", ".c", ".h"} and (pathlib.Path(root) / name).is_file():
            yield path


def breaches(root, path):
    lines = (pathlib.Path(root) / path).read_text(encoding="utf-8").split("\n")
    layer = path.parts[0]
    agent = path.parts[:2] == ("worker", "agent")
    if len(lines) > MAX_LINES:
        yield 1, f"{len(lines)} lines; split it (limit {MAX_LINES})"
    if path.suffix == ".hpp":
        if not lines[0].startswith("//"):
            yield 1, "a header opens with a comment that says what the thing is"
        if "#pragma once" not in lines:
            yield 1, "a header has #pragma once"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS and "http" not in line and 'R"' not in line:
            yield number, f"{len(line)} columns (limit {MAX_COLUMNS})"
        match = re.match(r'#include "(common|sandbox|coordinator|worker|cli)/', line)
        if match and layer in LAYERS and not agent:
            target = match.group(1)
            if target != layer and target not in LAYERS[layer]:
                yield number, f"{layer} must not include {target}"
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            yield number, "no promises in the code: open an issue"
        if layer in {"coordinator", "worker", "cli", "sandbox"} and not agent:
            if re.search(r"std::chrono::(system|steady)_clock::now|std::random_device", line):
                yield number, "time and entropy come through common/clock.hpp and random.hpp"


def main():
    root = sys.argv[1]
    found = 0
    seen = 0
    for path in sources(root):
        seen += 1
        for number, text in breaches(root, path):
            found += 1
            print(f"{path}:{number}: {text}")
    if seen == 0:
        print("no source file was found")
        return 1
    print(f"{seen} files, {found} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
