"""Merges bookings; README.md says how."""
import sys


def read(lines):
    for line in lines:
        if line.strip():
            start, end = line.split()
            yield int(start), int(end)


def merge(bookings):
    merged = []
    for start, end in bookings:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def main():
    merged = merge(read(sys.stdin))
    for start, end in merged:
        print(start, end)
    print("total", sum(end - start for start, end in merged))


if __name__ == "__main__":
    main()
