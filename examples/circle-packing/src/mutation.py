"""Changes the source of packing.py, by chance, and keeps what is better."""
import math
import re

import circles

TERMS = ("border", "x", "y", "x + y", "x - y", "abs(x - 0.5)", "abs(y - 0.5)",
         "(x - 0.5) ** 2 + (y - 0.5) ** 2", "x * y")


class Genes:
    """packing.py as values. Text that is none of them stays as it is."""
    STEP = re.compile(r"^STEP = (.+)$", re.M)
    KEY = re.compile(r"^    return (.+)$", re.M)
    CENTRES = re.compile(r"^CENTRES = \[\n(.*?)^\]$", re.M | re.S)

    def __init__(self, text):
        self.text = text
        self.step = float(self.STEP.search(text)[1])
        self.expression = self.KEY.search(text)[1]
        rows = self.CENTRES.search(text)[1].splitlines()
        self.centres = [tuple(float(part) for part in row.strip(" (),").split(","))
                        for row in rows]

    def key(self):
        return eval(f"lambda x, y, border: {self.expression}", {})  # its own source

    def score(self):
        return sum(circles.radii(self.centres, self.key()))

    def render(self):
        rows = "".join(f"    ({x:.9f}, {y:.9f}),\n" for x, y in self.centres)
        text = self.STEP.sub(lambda _: f"STEP = {self.step:.6g}", self.text)
        text = self.KEY.sub(lambda _: f"    return {self.expression}", text)
        return self.CENTRES.sub(lambda _: f"CENTRES = [\n{rows}]", text)


def new_expression(chance):
    term = chance.choice(TERMS)
    if chance.random() < 0.5:
        term = f"{chance.uniform(-1, 1):.3f} * ({term}) + ({chance.choice(TERMS)})"
    return term if chance.random() < 0.5 else f"-({term})"


def afresh(text, chance):
    """The text with a packing and an expression that are drawn by chance, whatever it has."""
    genes = Genes(text)
    genes.centres = [(round(chance.random(), 9), round(chance.random(), 9)) for _ in genes.centres]
    genes.expression = new_expression(chance)
    return genes.render()


def crossed(text, other, chance):
    """The text with the circles of the other's on one side of a line that is drawn by chance, and with
    one of their two expressions. Both sides keep where their circles are."""
    genes, theirs = Genes(text), Genes(other)
    if len(theirs.centres) != len(genes.centres):
        raise ValueError(f"the other has {len(theirs.centres)} circles")
    angle = chance.uniform(0, 2 * math.pi)
    side = lambda place: place[0] * math.cos(angle) + place[1] * math.sin(angle)
    count = len(genes.centres)
    taken = chance.randrange(1, count)
    genes.centres = (sorted(theirs.centres, key=side)[:taken]
                     + sorted(genes.centres, key=side)[taken:])
    if chance.random() < 0.5:
        genes.expression = theirs.expression
    return genes.render()


def moved(place, chance, step):
    x, y = (min(1.0, max(0.0, value + chance.gauss(0, step))) for value in place)
    return round(x, 9), round(y, 9)


def improve(text, chance, tries):
    """The text after so many tries by simulated annealing, and the sums of radii before and then."""
    genes = Genes(text)
    key = genes.key()
    apart = circles.distances(genes.centres)
    now = best = first = sum(circles.radii(genes.centres, key, apart))
    kept = genes.render()
    heat = chance.choice((0.0, 0.001, 0.003, 0.01))
    for left in range(tries, 0, -1):
        limit = now + heat * left / tries * math.log(1 - chance.random())
        if chance.random() < 0.01:
            before = genes.expression
            genes.expression = new_expression(chance)
            score = sum(circles.radii(genes.centres, genes.key(), apart))
            if score > limit:
                now, key = score, genes.key()
            else:
                genes.expression = before
            continue
        # Small moves and large ones; which of them pays is learnt by the step.
        step = genes.step * math.exp(chance.gauss(0, 2))
        which = chance.sample(range(len(genes.centres)), 2 if chance.random() < 0.2 else 1)
        centres = list(genes.centres)
        for i in which:
            centres[i] = moved(centres[i], chance, step)
        changed = [list(row) for row in apart]
        for i in which:
            for j, other in enumerate(centres):
                changed[i][j] = changed[j][i] = math.dist(centres[i], other)
        score = sum(circles.radii(centres, key, changed))
        if score > limit:
            now, apart, genes.centres = score, changed, centres
            genes.step = min(0.5, max(1e-4, genes.step ** 0.9 * step ** 0.1))
        if now > best:
            best, kept = now, genes.render()
    return kept, first, best
