"""Plays commands against a cache; README.md says which."""
import sys


class Cache:
    def __init__(self, capacity):
        self.capacity = capacity
        self.entries = {}

    def put(self, key, value):
        if len(self.entries) == self.capacity:
            del self.entries[next(iter(self.entries))]
        self.entries[key] = value

    def get(self, key):
        return self.entries.get(key, "-")


def main():
    cache = Cache(2)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "capacity":
            cache.capacity = int(words[1])
        elif words[0] == "put":
            cache.put(words[1], words[2])
        elif words[0] == "get":
            print(cache.get(words[1]))
        elif words[0] == "keys":
            print(*reversed(cache.entries))


if __name__ == "__main__":
    main()
