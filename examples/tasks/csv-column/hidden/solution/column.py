"""Prints a column of a CSV file; README.md says how."""
import json
import re
import sys

PLAIN = re.compile(r"[^,\n]*?(?=,|\r?\n|\Z)")
QUOTED = re.compile(r'"((?:[^"]|"")*)"(?=,|\r?\n|\Z)')
END = re.compile(r"\r?\n|\Z")


def record_at(text, at):
    """The fields of the record that begins there, and where the next one does."""
    fields = []
    while True:
        quoted = text.startswith('"', at)
        match = (QUOTED if quoted else PLAIN).match(text, at)
        if not match:
            sys.exit(2)
        fields.append(match[1].replace('""', '"') if quoted else match[0])
        if not text.startswith(",", match.end()):
            return fields, END.match(text, match.end()).end()
        at = match.end() + 1


def records(text):
    at = 0
    while at < len(text):
        begin = at
        fields, at = record_at(text, at)
        if fields != [""] or text[begin] == '"':
            yield fields


def main():
    rows = records(sys.stdin.buffer.read().decode())
    names = next(rows, [])
    if sys.argv[1] not in names:
        sys.exit(3)
    at = names.index(sys.argv[1])
    for row in rows:
        if len(row) > len(names):
            sys.exit(2)
        print(json.dumps(row[at] if at < len(row) else ""))


if __name__ == "__main__":
    main()
