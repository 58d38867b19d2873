"""The Messages API by urllib: one question, one answer, tried again on overload."""
import json
import os
import time
import urllib.error
import urllib.request

ATTEMPTS = 5


class Unreachable(Exception):
    """The model cannot be asked, for good."""


def ask(name, tools, messages):
    body = json.dumps({"model": name, "max_tokens": 4096, "tools": tools, "messages": messages})
    request = urllib.request.Request(
        os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", data=body.encode(), headers={
            "content-type": "application/json", "anthropic-version": "2023-06-01",
            "x-api-key": os.environ.get("ANTHROPIC_API_KEY", "")})
    why = ""
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as problem:
            why = f"HTTP {problem.code}: {problem.read(300)!r}"
            if problem.code not in (408, 429) and problem.code < 500:
                break
            pause = problem.headers.get("retry-after")
            time.sleep(min(float(pause) if pause else 2 ** attempt, 30))
        except OSError as problem:
            why = str(problem)
            time.sleep(2 ** attempt)
    raise Unreachable(why)
