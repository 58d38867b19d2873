GIVEN = {"a": "1", "Bc": "two words", "_d9": "", "e": "${a}", "f": "x=y"}
TEXTS = ["plain ", "\n", "{", "$$", "$}", "- ", "\u00e9", ": "]


def piece(random, names, depth):
    """A part of a template; in a TEXT a bare } would end it."""
    kind = random.random()
    name = random.choice(names)
    if depth and kind < 0.4:
        inner = "".join(piece(random, names, depth - 1) for _ in range(random.randint(0, 3)))
        return "${" + name + random.choice([":-", ":+"]) + inner + "}"
    if kind < 0.7:
        return random.choice(["${" + name + "}", f"${name}."])
    return random.choice(TEXTS)


def template(random, names, depth, count=14):
    return "".join(piece(random, names, depth) for _ in range(count)) + "\n"


def cases(random):
    given = [f"{name}={value}" for name, value in GIVEN.items()]
    names, more = list(GIVEN), [*GIVEN, "missing"]
    yield given, "".join("${" + random.choice("aef") + "} and " for _ in range(4)) + "\n"
    yield given, template(random, names, 0)
    for depth in (1, 2, 5):
        yield given, template(random, names, depth)
    yield given, template(random, names, 1) + "}} $$a $}{a}\n"
    yield given, template(random, more, 3, 20)
    yield given, "".join("${_d9:+$none}${a:-$none}" + piece(random, names, 2) for _ in range(5))
    yield given, template(random, names, 2) + "$missing\n"
    for bad in random.sample(["$", "$1", "${", "${a", "${a:-x", "${}", "${a:=b}", "${a b}", "$ a",
                              "${missing} ${a:+${a}", "${a:-$-}"], 4):
        yield given, template(random, names, 1) + bad
