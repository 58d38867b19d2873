def play(random, count, commands, keys):
    lines = []
    for number in range(count):
        command, key = random.choice(commands), random.choice(keys)
        if command == "put":
            value = random.choice(["v", "two words", "3  blanks", "#"])
            lines.append(f"put {key} {value} {number}")
        elif command == "capacity":
            lines.append(f"capacity {random.randint(0, len(keys))}")
        else:
            lines.append(command if command == "keys" else f"{command} {key}")
    return "".join(line + "\n" for line in lines)


def cases(random):
    few, many = list("abcd"), [f"key{number}" for number in range(30)]
    often = ["put", "put", "get"]
    yield [], "".join(f"put {key} {random.randint(0, 9)}\nget {key}\n" for key in few[:2])
    yield [], play(random, 40, often, few)
    yield [], "capacity 3\n" + play(random, 60, often + ["keys"], few)
    yield [], "capacity 3\n" + play(random, 60, often + ["peek", "keys"], few)
    yield [], "capacity 3\n" + play(random, 60, often + ["delete", "keys"], few)
    yield [], play(random, 60, often + ["capacity", "keys"], few)
    yield [], "capacity 0\nput a 1\nget a\nkeys\ncapacity 1\nput a 2\nput b 3\nkeys\n"
    yield [], "\n" + play(random, 20, often, few) + "\nclear\nput\u00e9 x\nkeys\n"
    yield [], "capacity 12\n" + play(
        random, 1500, often + ["peek", "delete", "keys"], many)
    yield [], "keys\nget a\npeek a\ndelete a\nflush\n"
