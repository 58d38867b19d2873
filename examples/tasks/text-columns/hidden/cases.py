LATIN = "abcdefgh XYZ-19"
WIDE = "\u65e5\u672c\u8a9e\uff21\uac00\u4e2d\U0001f600"
MARKED = ["e\u0301", "o\u0308\u0323", "n\u0303", "\u05d0\u05b8", "\u200d", "\u0e01\u0e34", "\u00ad"]


def cell(random, letters, longest):
    return "".join(random.choice(letters) for _ in range(random.randint(0, longest)))


def table(random, letters, rows=8, columns=(3, 3), longest=9):
    lines = []
    for _ in range(rows):
        count = random.randint(*columns)
        lines.append("\t".join(cell(random, letters, longest) for _ in range(count)) + "\n")
    return "".join(lines)


def cases(random):
    mixed = [*LATIN, *WIDE, *MARKED]
    yield ["40"], "".join(
        f"a{random.randint(10, 99)}\tb{random.randint(10, 99)}\n" for _ in range(5))
    yield ["40"], table(random, LATIN)
    yield ["40"], table(random, LATIN, columns=(1, 5))
    yield ["40"], table(random, [*LATIN, *WIDE])
    yield ["40"], table(random, [*LATIN, *MARKED])
    yield ["40"], table(random, mixed, rows=30, columns=(1, 6))
    yield [str(random.randint(5, 8))], table(random, LATIN, longest=14)
    yield [str(random.randint(3, 7))], table(random, WIDE, longest=9)
    yield [str(random.randint(2, 6))], table(random, mixed, rows=20, longest=14)
    yield ["1"], table(random, mixed, rows=10)
    yield ["9"], "\n" + table(random, mixed, columns=(1, 4)) + "\n\n" + table(random, LATIN)
    yield ["7"], table(random, mixed).rstrip("\n")
