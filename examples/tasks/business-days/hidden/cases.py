import datetime


def date(random, first="2019-01-01", days=3000):
    return datetime.date.fromisoformat(first) + datetime.timedelta(days=random.randrange(days))


def text(lines):
    return "".join(line + "\n" for line in lines)


def adds(random, low, high, count=15):
    return [f"add {date(random)} {random.randint(low, high)}" for _ in range(count)]


def counts(random, count=15):
    return [f"count {date(random)} {date(random)}" for _ in range(count)]


def holidays(random, count=60):
    return [f"holiday {date(random)}" for _ in range(count)]


def cases(random):
    yield [], text(adds(random, 1, 30))
    yield [], text(adds(random, -30, -1))
    yield [], text(adds(random, 0, 0))
    yield [], text(counts(random))
    yield [], text(holidays(random, 400) + adds(random, -40, 40))
    yield [], text(holidays(random, 400) + counts(random))
    mixed = holidays(random, 30) + adds(random, -300, 300) + counts(random)
    random.shuffle(mixed)
    yield [], text(mixed)
    week = date(random)
    days = [week + datetime.timedelta(days=each) for each in range(9)]
    yield [], text(f"count {first} {last}" for first in days for last in days)
    yield [], text([f"holiday {day}" for day in days[:6]] +
                   [f"add {day} {n}" for day in days for n in (-1, 0, 1)])
    bad = ["add 2023-02-29 1", "add 2024-02-30 1", "count 20240101 2024-01-05", "holiday",
           "frobnicate", "add 2024-01-01", "add 2024-01-01 1.5", "add 2024-1-1 1",
           "count 2024-01-01 2024-13-01", "", "add 1899-12-31 1", "holiday 2024-W01-1",
           "add 2024-01-01 1 2"]
    random.shuffle(bad)
    yield [], text([line for each in bad for line in (each, *adds(random, -9, 9, 1))])
    yield [], text(f"add {date(random)} {random.choice([-9999, 9999])}" for _ in range(20))
