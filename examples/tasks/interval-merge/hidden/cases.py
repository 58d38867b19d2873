def bookings(random, count, span):
    for _ in range(count):
        start = random.randint(-span, span)
        yield start, start + random.randint(1, max(2, span // 4))


def text(lines):
    return "".join(f"{start} {end}\n" for start, end in lines)


def cases(random):
    yield [], text(sorted((start * 50, start * 50 + 9) for start in random.sample(range(99), 5)))
    for count in (6, 12, 40):
        yield [], text(bookings(random, count, count * 4))
    outer = random.randint(0, 50)
    yield [], text([(outer, outer + 100), (outer + 10, outer + 20), (outer + 30, outer + 40)])
    chain = [(at, at + 5) for at in range(outer, outer + 40, 5)]
    yield [], text(chain)
    yield [], text(reversed(chain))
    backwards = [(end, start) for start, end in bookings(random, 4, 40)]
    yield [], text([*bookings(random, 4, 40), *backwards, (7, 7)])
    lines = [f"{start} {end}" for start, end in bookings(random, 6, 30)]
    yield [], "# all of them\n\n" + "  # one\n".join(lines) + "\n   \n"
    yield [], "\n#\n"
