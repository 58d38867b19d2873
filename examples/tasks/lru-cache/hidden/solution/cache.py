"""Plays commands against a cache; README.md says which."""
import sys


class Cache:
    def __init__(self, capacity):
        self.capacity = capacity
        self.entries = {}  # the one used last is the last

    def resize(self, capacity):
        self.capacity = capacity
        while len(self.entries) > capacity:
            del self.entries[next(iter(self.entries))]

    def put(self, key, value):
        self.entries.pop(key, None)
        self.entries[key] = value
        self.resize(self.capacity)

    def get(self, key):
        if key in self.entries:
            self.put(key, self.entries[key])
        return self.peek(key)

    def peek(self, key):
        return self.entries.get(key, "-")

    def delete(self, key):
        return "-" if self.entries.pop(key, None) is None else "deleted"

    def keys(self):
        return " ".join(reversed(self.entries)) or "-"


def main():
    cache = Cache(2)
    for line in sys.stdin:
        words = line.split(maxsplit=2)
        if not words:
            continue
        command, rest = words[0], words[1:]
        if command == "capacity":
            cache.resize(int(rest[0]))
        elif command == "put":
            cache.put(rest[0], rest[1].rstrip("\n"))
        elif command in ("get", "peek", "delete"):
            print(getattr(cache, command)(rest[0]))
        else:
            print(cache.keys() if command == "keys" else "?")


if __name__ == "__main__":
    main()
