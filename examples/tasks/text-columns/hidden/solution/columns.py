"""Lines up the cells of a table; README.md says how."""
import sys
import unicodedata


def width_of(text):
    return sum(0 if unicodedata.category(c) in ("Mn", "Me", "Cf")
               else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(cell, most):
    if width_of(cell) <= most:
        return cell
    width, end = 0, 0
    for end, character in enumerate(cell):
        width += width_of(character)
        if width > most - 1:
            break
    return cell[:end] + "…"


def main():
    most = int(sys.argv[1])
    text = sys.stdin.buffer.read().decode()
    rows = [[cut(cell, most) for cell in line.split("\t")] for line in text.split("\n")]
    if rows[-1] == [""]:
        rows.pop()
    widths = [0] * max(map(len, rows), default=0)
    for row in rows:
        for i, cell in enumerate(row):
            widths[i] = max(widths[i], width_of(cell))
    out = ""
    for row in rows:
        for i, cell in enumerate(row):
            out += cell
            if i + 1 < len(row):
                out += " " * (widths[i] - width_of(cell) + 2)
        out += "\n"
    sys.stdout.buffer.write(out.encode())


if __name__ == "__main__":
    main()
