WORDS = ["alpha", "beta", "rc", "Alpha", "x-y", "0a", "-", "1-"]


def number(random):
    return random.choice([random.randint(0, 3), random.randint(8, 12), random.randint(90, 110)])


def version(random, pre=0.5, build=0.2):
    text = ".".join(str(number(random)) for _ in range(3))
    if random.random() < pre:
        parts = [random.choice([random.choice(WORDS), str(number(random))])
                 for _ in range(random.randint(1, 3))]
        text += "-" + ".".join(parts)
    if random.random() < build:
        text += "+" + random.choice(["001", "b.7", "exp-sha.5114f85", "-"])
    return text


def lines(versions):
    return "".join(each + "\n" for each in versions)


def cases(random):
    for count in (8, 40):
        yield ["sort"], lines(version(random, pre=0, build=0) for _ in range(count))
    base = f"{number(random)}.{number(random)}."
    yield ["sort"], lines(base + version(random, 1, 0).split(".", 2)[2] for _ in range(40))
    yield ["sort"], lines("1.0.0-" + version(random, 1, 0).split("-", 1)[1] for _ in range(60))
    same = [f"1.2.3+{random.randint(0, 999)}" for _ in range(8)]
    yield ["sort"], lines([version(random), *same, version(random)])
    yield ["newest"], lines(version(random) for _ in range(30))
    yield ["newest"], lines(version(random, pre=1) for _ in range(30))
    good = [version(random) for _ in range(3)]
    for bad in random.sample(["1.0", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+",
                              "1.2.3-\u00e9", "v1.2.3", "1.2.3 ", "1.2.3.4", "1.2.3+a+b"], 4):
        yield ["sort"], lines([*good, bad])
    yield ["newest"], ""
