"""Prints an order to build in; README.md says how."""
import sys


def read(lines):
    needs = {}
    for line in lines:
        if line.strip():
            target, rest = line.split(":")
            needs[target] = rest.split()
    return needs


def order(needs):
    built = []

    def build(target):
        for dependency in needs.get(target, []):
            if dependency in needs and dependency not in built:
                build(dependency)
        built.append(target)

    for target in needs:
        if target not in built:
            build(target)
    return built


if __name__ == "__main__":
    for name in order(read(sys.stdin)):
        print(name)
