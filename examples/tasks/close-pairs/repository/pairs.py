"""Counts pairs of numbers that are close; README.md says how."""
import sys


def close_pairs(numbers, distance):
    pairs, most = 0, 0
    for i, one in enumerate(numbers):
        near = 0
        for j, other in enumerate(numbers):
            if i != j and abs(one - other) <= distance:
                near += 1
        pairs += near
        most = max(most, near)
    return pairs // 2, most


if __name__ == "__main__":
    print(*close_pairs([int(word) for word in sys.stdin.read().split()], int(sys.argv[1])))
