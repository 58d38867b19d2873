"""A Messages API endpoint on loopback whose answers a function gives. Standard library only."""
import http.server
import json
import threading


def message(*blocks, stop_reason=None):
    """A reply: blocks are texts, or (tool, input) pairs for calls."""
    content = []
    for number, block in enumerate(blocks):
        if isinstance(block, str):
            content.append({"type": "text", "text": block})
        else:
            content.append({"type": "tool_use", "id": f"toolu_{number}_{block[0]}",
                            "name": block[0], "input": block[1]})
    called = any(block["type"] == "tool_use" for block in content)
    return {"type": "message", "role": "assistant", "content": content,
            "stop_reason": stop_reason or ("tool_use" if called else "end_turn")}


class Status(Exception):
    """Raised by an answer function: the reply is this HTTP status."""

    def __init__(self, status, **headers):
        super().__init__(status)
        self.status, self.headers = status, headers


def as_stream(reply):
    """The reply as server-sent events."""
    def event(kind, **members):
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n"
    out = event("message_start", message={**reply, "id": "msg_1", "model": "scripted",
                "content": [], "stop_reason": None,
                "usage": {"input_tokens": 1, "output_tokens": 1}})
    for index, block in enumerate(reply["content"]):
        if block["type"] == "text":
            start, deltas = {"type": "text", "text": ""}, [
                {"type": "text_delta", "text": block["text"]}]
        else:
            text = json.dumps(block["input"])
            if reply["stop_reason"] == "max_tokens":
                text = text[:-2]  # cut off in the middle of the input
            start = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": part}
                      for part in (text[:5], text[5:])]
        out += event("content_block_start", index=index, content_block=start)
        for delta in deltas:
            out += event("content_block_delta", index=index, delta=delta)
        out += event("content_block_stop", index=index)
    out += event("message_delta", delta={"stop_reason": reply["stop_reason"]},
                 usage={"output_tokens": 7})
    return out + event("message_stop")


class Server:
    """Serves while it is entered. `requests` are the bodies of /v1/messages, `events` the events."""

    def __init__(self, answer):
        self.requests, self.events, self.answer = [], [], answer

    def __enter__(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path == "/germline/v1/events":
                    owner.events.append(body)
                    return self.reply(204, "text/plain", "")
                owner.requests.append(body)
                try:
                    given = owner.answer(body)
                except Status as status:
                    return self.reply(status.status, "application/json", '{"type": "error"}',
                                      status.headers)
                if body.get("stream"):
                    return self.reply(200, "text/event-stream", as_stream(given))
                return self.reply(200, "application/json", json.dumps(given))

            def reply(self, status, kind, text, headers=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
