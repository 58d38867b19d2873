"""Prints a column of a CSV file; README.md says how."""
import json
import sys


def records(text):
    for line in text.split("\n"):
        if line:
            yield line.split(",")


def main():
    rows = records(sys.stdin.read())
    at = next(rows).index(sys.argv[1])
    for row in rows:
        print(json.dumps(row[at]))


if __name__ == "__main__":
    main()
