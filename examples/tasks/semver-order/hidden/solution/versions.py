"""Sorts versions; README.md says how."""
import re
import sys

NUMBER = "(0|[1-9][0-9]*)"
PRE = "(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
BUILD = "[0-9A-Za-z-]+"
VERSION = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}(?:-({PRE}(?:\.{PRE})*))?"
                     rf"(?:\+{BUILD}(?:\.{BUILD})*)?")


def rank(version):
    match = VERSION.fullmatch(version)
    if not match:
        sys.exit(2)
    numbers = [int(part) for part in match.groups()[:3]]
    if match[4] is None:
        return numbers, 1, []
    return numbers, 0, [(0, int(part), "") if part.isdigit() else (1, 0, part)
                        for part in match[4].split(".")]


def main():
    versions = sys.stdin.read().splitlines()
    if not versions or sys.argv[1:] not in (["sort"], ["newest"]):
        sys.exit(2)
    versions.sort(key=rank)
    if sys.argv[1] == "sort":
        print("\n".join(versions))
    else:
        print(([each for each in versions if rank(each)[1]] or versions)[-1])


if __name__ == "__main__":
    main()
