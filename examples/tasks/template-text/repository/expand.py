"""Puts values into a template; README.md says how."""
import re
import sys


def main():
    values = dict(argument.split("=") for argument in sys.argv[1:])
    text = sys.stdin.read()
    print(re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], ""), text), end="")


if __name__ == "__main__":
    main()
