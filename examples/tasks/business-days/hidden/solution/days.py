"""Counts business days; README.md says how."""
import datetime
import re
import sys

DAY = datetime.timedelta(days=1)


def parse_date(text):
    if not re.fullmatch(r"(19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    return datetime.date.fromisoformat(text)


def parse_number(text):
    if not re.fullmatch(r"-?[0-9]{1,4}", text):
        raise ValueError(text)
    return int(text)


class Calendar:
    def __init__(self):
        self.holidays = set()

    def works(self, date):
        return date.weekday() < 5 and date not in self.holidays

    def add(self, date, count):
        if count == 0:
            date, count = date - DAY, 1
        step = DAY if count > 0 else -DAY
        while count:
            date += step
            if self.works(date):
                count -= 1 if count > 0 else -1
        return date

    def count(self, first, last):
        if last < first:
            return -self.count(last, first)
        weeks, days = divmod((last - first).days, 7)
        inside = sum((first + day * DAY).weekday() < 5 for day in range(days))
        closed = sum(first <= day < last and day.weekday() < 5 for day in self.holidays)
        return weeks * 5 + inside - closed

    def obey(self, line):
        command, *rest = line.split()
        if command == "holiday" and len(rest) == 1:
            self.holidays.add(parse_date(rest[0]))
        elif command == "add" and len(rest) == 2:
            print(self.add(parse_date(rest[0]), parse_number(rest[1])))
        elif command == "count" and len(rest) == 2:
            print(self.count(*map(parse_date, rest)))
        else:
            raise ValueError(line)


def main():
    calendar = Calendar()
    for line in sys.stdin:
        if line.strip():
            try:
                calendar.obey(line)
            except ValueError:
                print("?")


if __name__ == "__main__":
    main()
