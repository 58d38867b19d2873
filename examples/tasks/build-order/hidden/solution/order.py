"""Prints an order to build in; README.md says how."""
import sys


class Cycle(Exception):
    """Has the names of the cycle."""


def read(lines):
    needs = {}
    for line in lines:
        if line.strip():
            target, rest = line.split(":")
            needs.setdefault(target.strip(), []).extend(rest.split())
    return needs


def order(needs):
    built, done = [], set()
    for root in needs:
        path = {} if root in done else {root: iter(needs[root])}
        while path:
            name = next(reversed(path))
            for dependency in path[name]:
                if dependency in path:
                    names = list(path)
                    raise Cycle([*names[names.index(dependency):], dependency])
                if dependency not in done:
                    path[dependency] = iter(needs.get(dependency, []))
                    break
            else:
                del path[name]
                done.add(name)
                built.append(name)
    return built


def main():
    try:
        print("".join(name + "\n" for name in order(read(sys.stdin))), end="")
    except Cycle as cycle:
        print("cycle:", *cycle.args[0])
        sys.exit(1)


if __name__ == "__main__":
    main()
