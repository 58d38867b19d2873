"""Merges bookings; README.md says how."""
import sys


def read(lines):
    for line in lines:
        parts = line.split("#")[0].split()
        if parts:
            start, end = parts
            yield int(start), int(end)


def merge(bookings):
    merged = []
    for start, end in sorted(bookings):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
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
