PLAIN = ["1", "", " x ", "it's", "a\"b", "\u00e4\u00df", "3.50", "semi;colon", "back\\slash"]
HARD = PLAIN + ["a,b", "two\nlines", "cr\r\nlf", "\"", "say \"hi\", you", ",", "\n", "tab\t"]


def field(value, random, quote):
    if any(mark in value for mark in ',\n\r') or value.startswith('"') or random.random() < quote:
        return '"' + value.replace('"', '""') + '"'
    return value


def table(random, values, quote, end="\n", rows=12, names=("id", "name", "note")):
    made = [names] + [[random.choice(values) for _ in names] for _ in range(rows)]
    return "".join(",".join(field(value, random, quote) for value in row) + end for row in made)


def cases(random):
    names = ["id", "name", "note"]
    yield [random.choice(names)], table(random, ["1", "a", "zz", "4.5"], 0)
    yield [random.choice(names)], table(random, PLAIN, 0.5)
    for _ in range(3):
        yield [random.choice(names)], table(random, HARD, 0.3)
    yield [random.choice(names)], table(random, HARD, 0.3, end="\r\n")
    yield ["note"], table(random, HARD, 0.2).rstrip("\n") + "\n\n\r\n1\n1,2\n\"\"\n"
    yield ["name"], table(random, HARD, 0.2, names=("id", "name", "name"))
    yield ["no, such"], table(random, HARD, 0.2)
    yield ["a,\"b"], table(random, HARD, 0.2, names=("x", "a,\"b"))
    good = table(random, HARD, 0.2, rows=random.randint(2, 5))
    yield ["id"], good + random.choice(['1,2,3,4\n', '"1",2,"3",\n'])
    yield ["id"], good + random.choice(['"1"2,3\n', '"1" ,2\n'])
    yield ["name"], good + '1,"2,3\n4,5,6\n'
