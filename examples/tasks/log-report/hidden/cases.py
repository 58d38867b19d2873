PATHS = ["/", "/a", "/a/b", "/B", "/500", "/index.html", "/a-b", "/a_b", "/\u00fc", "/*"]
BROKEN = ["", "  ", "GET /", "10:00 get / 200 1", "10:00 GET / 20 1", "10:00 GET / 200 1 ", "-",
          "10:00 GET  / 200 1", "10:00 GET / 200 x", "10:00 GET / 2000 5", " 10:00 GET / 500 7",
          "10:00 GET / 200 -5", "*"]


def line(random, paths=PATHS, query=0.3, statuses=("200", "304", "404", "500", "503", "599")):
    path = random.choice(paths)
    if random.random() < query:
        path += "?" + random.choice(["q=1", "", "a?b", "status=500", "x/y"])
    return " ".join([
        f"{random.randint(0, 23):02}:{random.randint(0, 59):02}",
        random.choice(["GET", "POST", "PUT"]), path, random.choice(statuses),
        random.choice(["-", "0", "007", str(random.randint(1, 90000))])])


def text(lines):
    return "".join(each + "\n" for each in lines)


def cases(random):
    good = ("200", "404")
    yield ["0"], text(f"10:0{at} GET /a 200 {random.randint(1, 4999)}" for at in range(6))
    yield ["0"], text(line(random, statuses=good) for _ in range(30))
    yield ["0"], text(line(random) for _ in range(40))
    yield ["3"], text(line(random, query=0) for _ in range(60))
    yield ["100"], text(line(random) for _ in range(60))
    yield ["5"], text(line(random, [f"/p{at}" for at in range(12)]) for _ in range(40))
    mixed = [line(random) for _ in range(30)] + BROKEN * 2
    random.shuffle(mixed)
    yield ["4"], text(mixed)
    yield ["4"], text(mixed[:random.randint(10, 30)]).rstrip("\n")
    yield ["2"], text(BROKEN)
    yield ["1"], ""
    yield [str(random.randint(6, 20))], text(
        line(random, [f"/item/{at}" for at in range(150)]) for _ in range(1500))
