"""Puts values into a template; README.md says how."""
import re
import sys

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Broken(Exception):
    """Not a template."""


class Template:
    def __init__(self, text, values):
        self.text, self.values, self.at = text, values, 0
        self.missing = False

    def take(self, mark):
        found = self.text.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        return found

    def name(self):
        match = NAME.match(self.text, self.at)
        if not match:
            raise Broken
        self.at = match.end()
        return match[0]

    def value(self, name, used):
        self.missing |= used and name not in self.values
        return self.values.get(name, "")

    def variable(self, used):
        """What is behind a `$`."""
        if self.take("$"):
            return "$"
        if self.take("}"):
            return "}"
        if not self.take("{"):
            return self.value(self.name(), used)
        name = self.name()
        value = self.values.get(name, "")
        if self.take("}"):
            return self.value(name, used)
        if self.take(":-"):
            text = self.expand(used and not value, inner=True)
            return value or text
        if self.take(":+"):
            text = self.expand(used and bool(value), inner=True)
            return text if value else ""
        raise Broken

    def expand(self, used=True, inner=False):
        out = []
        while self.at < len(self.text):
            if inner and self.take("}"):
                return "".join(out)
            if self.take("$"):
                out.append(self.variable(used))
            else:
                out.append(self.text[self.at])
                self.at += 1
        if inner:
            raise Broken
        return "".join(out)


def main():
    template = Template(sys.stdin.read(),
                        dict(argument.split("=", 1) for argument in sys.argv[1:]))
    try:
        text = template.expand()
    except Broken:
        sys.exit(2)
    if template.missing:
        sys.exit(3)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
