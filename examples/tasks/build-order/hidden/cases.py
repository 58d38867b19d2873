def layered(random, count, most):
    """Names that need only earlier ones, so there is an order."""
    names = [f"n{number}" for number in random.sample(range(10 * count), count)]
    needs = [(name, random.sample(names[:at], min(at, random.randint(0, most))))
             for at, name in enumerate(names)]
    random.shuffle(needs)
    return needs


def text(needs):
    return "".join(f"{name}: {' '.join(others)}\n" for name, others in needs)


def chain(count, names="c"):
    return [(f"{names}{at}", [f"{names}{at + 1}"]) for at in range(count)]


def cycle_in(random, needs, length):
    ring = [(f"r{at}", [f"r{(at + 1) % length}"]) for at in range(length)]
    mixed = needs + ring + [(needs[0][0], ["r0"])]
    random.shuffle(mixed)
    return mixed


def cases(random):
    yield [], text(layered(random, 8, 2))
    yield [], text(each for each in layered(random, 30, 3) if each[1])
    needs = layered(random, 60, 4)
    halves = [(name, others[:2]) for name, others in needs] + [
        (name, others[2:]) for name, others in needs]
    yield [], text(halves)
    yield [], "\n" + text(layered(random, 12, 3)).replace(":", " :  ") + "\n\n"
    yield [], text(chain(random.randint(15_000, 20_000)))
    for length in (1, 2, random.randint(3, 9)):
        yield [], text(cycle_in(random, layered(random, 20, 3), length))
    yield [], text(cycle_in(random, chain(20), 5_000))
    diamonds = [(f"d{at}", [f"e{at}", f"f{at}"]) for at in range(40)]
    for at in range(40):
        diamonds += [(f"e{at}", [f"d{at + 1}"]), (f"f{at}", [f"d{at + 1}"])]
    yield [], text(diamonds)
    yield [], ""


def accepts(_arguments, stdin, expected, got):
    needs, names = {}, set()
    for line in stdin.splitlines():
        if line.strip():
            target, rest = line.split(":")
            needs.setdefault(target.strip(), set()).update(rest.split())
            names |= {target.strip(), *rest.split()}
    output, code = got[0].rstrip("\n"), got[1]
    if code != expected[1]:
        return False
    if code == 1:
        word, *ring = output.split()
        follows = all(other in needs.get(one, ()) for one, other in zip(ring, ring[1:]))
        return (word == "cycle:" and "\n" not in output and len(ring) > 1 and follows and
                ring[0] == ring[-1] and len(set(ring)) == len(ring) - 1)
    place = {name: at for at, name in enumerate(output.splitlines())}
    return (len(output.splitlines()) == len(place) and place.keys() == names and
            all(place[other] < place[name] for name in needs for other in needs[name]))
