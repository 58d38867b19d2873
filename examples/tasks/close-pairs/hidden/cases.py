def text(numbers):
    return " ".join(map(str, numbers)) + "\n"


def drawn(random, count, span):
    return [random.randint(-span, span) for _ in range(count)]


def cases(random):
    yield [str(random.randint(0, 9))], text(drawn(random, 30, 40))
    yield ["-1"], text(drawn(random, 20, 3))
    for span in (5_000, 400_000, 9):
        yield [str(random.randint(0, 50))], text(drawn(random, 40_000, span))
    yield ["1"], text(range(39_000, 0, -1))
