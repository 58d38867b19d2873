"""Radii for given centres."""
import math


def distances(centres):
    return [[math.dist(one, other) for other in centres] for one in centres]


def borders(centres):
    """How large a circle may be for the square alone."""
    return [max(0.0, min(x, y, 1 - x, 1 - y)) for x, y in centres]


def radii(centres, key, apart=None):
    """Radii by which no circle leaves the square or overlaps another.

    Each begins with half of what it has to its nearest neighbour; then, in the order of their keys,
    each takes what the others leave. `apart` are the distances, where they are known.
    """
    apart = apart or distances(centres)
    most = borders(centres)
    found = []
    for i, row in enumerate(apart):
        nearest = min(row[j] for j in range(len(row)) if j != i)
        found.append(min(most[i], nearest / 2))
    order = sorted(range(len(centres)), key=lambda i: key(*centres[i], most[i]))
    for i in order:
        row = apart[i]
        room = min(row[j] - found[j] for j in range(len(row)) if j != i)
        found[i] = max(found[i], min(most[i], room))
    return found


def lines(centres, key):
    """A line "x y r" a circle, with nine decimals, rounded so that the packing stays sound."""
    centres = [(round(x, 9), round(y, 9)) for x, y in centres]
    return [f"{x:.9f} {y:.9f} {max(0.0, r - 2e-9):.9f}"
            for (x, y), r in zip(centres, radii(centres, key))]
