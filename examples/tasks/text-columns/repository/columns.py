"""Lines up the cells of a table; README.md says how."""
import sys


def main():
    rows = [line.rstrip("\n").split("\t") for line in sys.stdin]
    count = max(len(row) for row in rows)
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(count)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)))


if __name__ == "__main__":
    main()
