"""Counts business days; README.md says how."""
import datetime
import sys

DAY = datetime.timedelta(days=1)


def add(date, count):
    while count > 0:
        date += DAY
        if date.weekday() < 5:
            count -= 1
    return date


def main():
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "add":
            print(add(datetime.date.fromisoformat(rest[0]), int(rest[1])))
        elif command == "count":
            first, last = map(datetime.date.fromisoformat, rest)
            print((last - first).days * 5 // 7)


if __name__ == "__main__":
    main()
