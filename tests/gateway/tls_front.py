#!/usr/bin/python3
"""An HTTPS server on loopback that speaks HTTP/2 and HTTP/1.1, before an upstream without TLS: what
a real provider looks like from outside. Prints its port; then, a line each, what was spoken.

Usage: tls_front.py CERTIFICATE KEY UPSTREAM_PORT. Ends by SIGTERM.
"""
import asyncio
import http.client
import signal
import socket
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config

CERTIFICATE, KEY, UPSTREAM_PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])


async def front(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        part = await receive()
        body += part.get("body", b"")
        more = part.get("more_body", False)
    print("HTTP/" + scope["http_version"], flush=True)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]
               if not name.startswith(b":") and name not in (b"content-length", b"host")}
    path = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
    upstream = http.client.HTTPConnection("127.0.0.1", UPSTREAM_PORT, timeout=30)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, upstream.request, scope["method"], path, body, headers)
    answer = await loop.run_in_executor(None, upstream.getresponse)
    kept = [(name.lower().encode(), value.encode()) for name, value in answer.getheaders()
            if name.lower() not in ("connection", "transfer-encoding", "keep-alive")]
    await send({"type": "http.response.start", "status": answer.status, "headers": kept})
    while chunk := await loop.run_in_executor(None, answer.read1, 65536):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    upstream.close()


async def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = CERTIFICATE, KEY
    config.accesslog = None
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(port, flush=True)
    await serve(front, config, shutdown_trigger=ended.wait)


asyncio.run(main())
