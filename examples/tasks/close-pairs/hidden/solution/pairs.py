"""Counts pairs of numbers that are close; README.md says how."""
import bisect
import sys


def close_pairs(numbers, distance):
    numbers = sorted(numbers)
    pairs, most = 0, 0
    for one in numbers:
        near = (bisect.bisect_right(numbers, one + distance) -
                bisect.bisect_left(numbers, one - distance) - 1)
        pairs += max(near, 0)
        most = max(most, near)
    return pairs // 2, most


if __name__ == "__main__":
    print(*close_pairs([int(word) for word in sys.stdin.read().split()], int(sys.argv[1])))
