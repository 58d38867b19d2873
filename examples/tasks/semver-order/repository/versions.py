"""Sorts versions; README.md says how."""
import sys


def main():
    versions = sys.stdin.read().split()
    versions.sort()
    if sys.argv[1] == "sort":
        print("\n".join(versions))
    else:
        print(versions[-1])


if __name__ == "__main__":
    main()
