#!/usr/bin/env python3
"""germline-mirror as a process, between a raw client and a mirror that fails in every way.

Usage: mirror_test.py GERMLINE_MIRROR_BINARY. Everything it starts it ends, by pid.
"""
import array
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

MIRROR = sys.argv.pop(1)
NPM_PATHS = [r"/[a-z0-9-]+", r"/[a-z0-9-]+/-/[a-z0-9.-]+\.tgz"]


class Upstream:
    """A mirror on loopback that answers each path as it is told: a function of the socket."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.behaviours = {}
        self.heads = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            try:
                while True:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        got = client.recv(65536)
                        if not got:
                            return
                        head += got
                    self.heads.append(head.decode())
                    path = head.split(b" ")[1].decode()
                    self.behaviours.get(path, answer(404, b"{}"))(client)
            except OSError:
                pass


def answer(status, body, headers=""):
    text = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body
    return lambda client: client.sendall(text)


def cut_short(client):
    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
    client.shutdown(socket.SHUT_RDWR)


def silent(client):
    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    time.sleep(20)


def endless(client):
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        client.sendall(bytes(65536))
        time.sleep(0.01)


class TlsUpstream(Upstream):
    """The same over TLS, for the name localhost, by an authority that nobody knows."""

    def __init__(self, folder):
        self.ca_file = folder + "/tls.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", folder + "/tls.key", "-out", self.ca_file],
                       check=True, capture_output=True)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.ca_file, folder + "/tls.key")
        super().__init__()
        self.url = f"https://localhost:{self.port}"

    def serve(self, client):
        try:
            super().serve(self.tls.wrap_socket(client, server_side=True))
        except OSError:
            client.close()


class Client:
    """One request on a connection of its own; the answer's status, headers and body."""

    def __init__(self, port, raw):
        with socket.create_connection(("127.0.0.1", port), 15) as connection:
            connection.sendall(raw.encode())
            data = b""
            self.broke = False
            try:
                while got := connection.recv(65536):
                    data += got
            except OSError:
                self.broke = True
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if data else 0
        self.headers = dict(line.split(": ", 1) for line in lines[1:])


class MirrorTest(unittest.TestCase):
    def setUp(self):
        self.upstream = Upstream()
        self.elsewhere = Upstream()
        self.start()

    def start(self, log=None, **more):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(15)
        mirrors = [{"name": "npm", "url": self.upstream.url, "allow": NPM_PATHS, "redirects": [],
                    "ca_file": "", **more}]
        account = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        self.process = subprocess.Popen(
            [MIRROR, "--control-fd", str(theirs.fileno()), "--mirrors", json.dumps(mirrors)],
            pass_fds=[theirs.fileno()], env={}, stderr=log, **account)
        theirs.close()
        self.seq = 0
        self.port = 0

    def tearDown(self):
        self.stop()
        self.upstream.listener.close()
        self.elsewhere.listener.close()

    def stop(self):
        self.control.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            raise

    def tell(self, op, listener=None, limits=None, mirrors=("npm",), seconds=60, wait=True):
        self.seq += 1
        message = {
            "op": op, "seq": self.seq, "id": "fetch", "mirrors": list(mirrors), "message": "",
            "deadline_boot_ms": int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 + seconds * 1000),
            "limits": {"requests": 100, "bytes": 1 << 20, "connections": 8, "silence_ms": 1000,
                       "connect_ms": 1000, **(limits or {})},
            "account": {"requests": 0, "bytes": 0, "trouble": "", "refused": "", "past_bound": ""}}
        rights = []
        if listener is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener.fileno()]))]
        self.control.sendmsg([json.dumps(message).encode()], rights)
        return json.loads(self.control.recv(65536)) if wait else None

    def open(self, **how):
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        told = self.tell("open", listener, **how)
        listener.close()
        return told

    def close(self):
        told = self.tell("close")
        self.assertEqual(told["op"], "closed", told)
        return told["account"]

    def ask(self, line, headers="connection: close\r\n", body=""):
        return Client(self.port, f"{line} HTTP/1.1\r\nhost: x\r\n{headers}\r\n{body}")

    def test_what_is_allowed_comes_with_few_headers_and_goes_with_fewer(self):
        self.upstream.behaviours["/quince"] = answer(
            200, b'{"name": "quince"}',
            "content-type: application/json\r\netag: abc\r\nset-cookie: a=b\r\nx-other: 1\r\n")
        self.open()
        got = self.ask("GET /npm/quince", "connection: close\r\n"
                       "accept: secret/word, application/json; q=0.8\r\nif-none-match: secret\r\n"
                       "accept-encoding: gzip, secret\r\ncookie: secret\r\nauthorization: Bearer secret\r\nuser-agent: spy\r\n")
        self.assertEqual((got.status, got.body), (200, b'{"name": "quince"}'))
        self.assertEqual(set(got.headers),
                         {"content-type", "content-length", "etag", "connection"})
        (head,) = self.upstream.heads
        self.assertIn("accept: application/json\r\n", head.lower())
        self.assertIn("accept-encoding: gzip\r\n", head.lower())
        self.assertNotIn("secret", head)
        self.assertNotIn("spy", head)
        self.upstream.behaviours["/quince"] = lambda client: client.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n")
        self.assertEqual(self.ask("HEAD /npm/quince").body, b"")
        account = self.close()
        self.assertEqual((account["requests"], account["bytes"]), (2, 18))
        self.assertEqual((account["trouble"], account["past_bound"]), ("", ""))

    def test_connections_are_kept_and_chunks_come_through(self):
        self.upstream.behaviours["/quince"] = lambda client: client.sendall(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        self.open()
        twice = "GET /npm/quince HTTP/1.1\r\nhost: x\r\n\r\n"
        got = Client(self.port, twice + twice.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
        self.assertEqual(got.body.count(b"3\r\nabc\r\n0\r\n\r\n"), 2)

    def test_nothing_else_goes_out(self):
        self.open()
        for line, headers, body in [
                ("POST /npm/quince", "connection: close\r\ncontent-length: 6\r\n", "secret"),
                ("PUT /npm/quince", "connection: close\r\n", ""),
                ("DELETE /npm/quince", "connection: close\r\n", ""),
                ("CONNECT 127.0.0.1:22", "connection: close\r\n", ""),
                ("GET /npm/quince", "connection: close\r\ncontent-length: 6\r\n", "secret"),
                ("GET /npm/quince", "connection: close\r\ntransfer-encoding: chunked\r\n", "0\r\n"),
                ("GET /npm/quince?q=secret", "connection: close\r\n", ""),
                ("GET /npm/../quince", "connection: close\r\n", ""),
                ("GET /npm/%2e%2e/quince", "connection: close\r\n", ""),
                ("GET /npm/-/v1/search", "connection: close\r\n", ""),
                ("GET /other/quince", "connection: close\r\n", ""),
                (f"GET http://127.0.0.1:{self.elsewhere.port}/quince", "connection: close\r\n", ""),
                ("GET /npm/quince", f"x: {'y' * 20000}\r\n", ""),
                ("nonsense", "", "")]:
            got = self.ask(line, headers, body)
            self.assertGreaterEqual(got.status, 400, line)
            self.assertLess(got.status, 500, line)
            self.assertTrue(json.loads(got.body)["error"], line)
        self.assertEqual(self.upstream.heads + self.elsewhere.heads, [])
        self.assertEqual(self.close()["requests"], 0)

    def test_a_redirect_leads_nowhere_else(self):
        self.elsewhere.behaviours["/quince"] = answer(200, b"stolen")
        away = f"location: {self.elsewhere.url}/quince\r\n"
        self.upstream.behaviours["/quince"] = answer(302, b"", away)
        self.upstream.behaviours["/moved"] = answer(301, b"", "location: /here/quince\r\n")
        self.upstream.behaviours["/here/quince"] = answer(200, b"found")
        self.upstream.behaviours["/loop"] = answer(307, b"", "location: /loop\r\n")
        self.open()
        got = self.ask("GET /npm/quince")
        self.assertEqual(got.status, 403)  # npm asks again after 502
        self.assertIn("redirects", json.loads(got.body)["error"])
        self.assertEqual(self.elsewhere.heads, [])
        self.assertEqual(self.ask("GET /npm/moved").body, b"found")
        self.assertEqual(self.ask("GET /npm/loop").status, 502)
        account = self.close()
        self.assertIn("redirects again", account["trouble"])
        self.assertIn("/npm/quince: the mirror redirects to 127.0.0.1", account["refused"])

    def test_tls_is_verified_also_behind_a_redirect_that_is_allowed(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            secure = TlsUpstream(folder)
            secure.behaviours["/quince"] = answer(200, b"sealed")
            self.upstream.behaviours["/quince"] = answer(
                302, b"", f"location: {secure.url}/quince\r\n")
            host = secure.url.removeprefix("https://")
            known = {"ca_file": secure.ca_file}
            for more, status in [({"url": secure.url}, 502), ({"url": secure.url, **known}, 200),
                                 ({"url": secure.url.replace("localhost", "127.0.0.1"), **known}, 502),
                                 ({"redirects": [host]}, 502), ({"redirects": [host], **known}, 200),
                                 (known, 403)]:
                self.stop()
                self.start(**more)
                self.open()
                got = self.ask("GET /npm/quince")
                self.assertEqual(got.status, status, more)
                account = self.close()
                self.assertEqual(bool(account["trouble"]), status == 502)
                self.assertEqual(bool(account["refused"]), status == 403)
            self.assertEqual(len(secure.heads), 2)
            secure.listener.close()

    def test_it_does_not_start_with_a_ca_file_that_it_cannot_read(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            path = folder + "/ca.pem"
            for text, mode, says in [(None, 0o644, "cannot be read"), ("", 0o644, "cannot be read"),
                                     ("no PEM", 0o644, "no certificate in PEM"),
                                     ("-----BEGIN CERTIFICATE-----", 0o600, "cannot be read")]:
                if text is not None:
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(text)
                    os.chmod(path, mode)
                if mode == 0o600 and os.geteuid() != 0:
                    continue  # it runs as who wrote it
                self.stop()
                self.start(ca_file=path, log=subprocess.PIPE)
                said = self.process.stderr.read().decode()
                self.process.stderr.close()
                self.assertEqual(self.process.wait(10), 1, said)
                self.assertIn(f"`ca_file` of the mirror 'npm', {path},", said)
                self.assertIn(says, said)

    def test_an_answer_that_breaks_off_is_seen_to(self):
        self.upstream.behaviours["/quince"] = cut_short
        self.open()
        got = self.ask("GET /npm/quince")
        self.assertLess(len(got.body), 1000)
        self.assertIn("broke off", self.close()["trouble"])

    def said_by(self, upstream_says, line="GET /npm/quince"):
        """The head and body that come of an upstream's words."""
        self.upstream.behaviours["/quince"] = lambda client: client.sendall(upstream_says)
        return self.ask(line)

    def test_an_answer_without_a_status_is_trouble(self):
        self.open()
        for head in (b"HTTP/1.1 20 OK", b"HTTP/1.1 099 Odd", b"HTTP/1.1 200 OK\r\nHTTP/1.1 7 x"):
            got = self.said_by(head + b"\r\ncontent-length: 0\r\n\r\n")
            self.assertEqual(got.status, 502, head)
        self.assertTrue(self.close()["trouble"])

    def test_a_length_that_is_in_doubt_is_not_passed_on(self):
        self.open()
        chunks = b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n6\r\nquince\r\n0\r\n\r\n"
        got = self.said_by(b"HTTP/1.1 200 OK\r\n" + chunks)
        self.assertNotIn("content-length", got.headers)
        self.assertEqual(got.body, b"6\r\nquince\r\n0\r\n\r\n")
        got = self.said_by(b"HTTP/1.1 204 No Content\r\ncontent-length: 6\r\n\r\n")
        self.assertEqual((got.status, got.body), (204, b""))
        self.assertNotIn("content-length", got.headers)

    def test_trailers_are_no_second_answer(self):
        self.open()
        got = self.said_by(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nquince\r\n0\r\n"
                           b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertTrue(got.body.startswith(b"6\r\nquince\r\n"))
        self.assertNotIn(b"HTTP/1.1", got.body)

    def test_what_another_reader_may_see_otherwise_ends_the_connection(self):
        self.upstream.behaviours["/quince"] = answer(200, b"quince")
        self.open()
        after = "GET /npm/quince HTTP/1.1\r\nhost: x\r\n\r\n"
        for line, headers in [("GET /npm/quince", "content-length: 0\r\ncontent-length: 0\r\n"),
                              ("GET /npm/qu\xffince", "")]:
            got = self.ask(line, headers, after)
            self.assertEqual(got.status, 400, line)
            self.assertEqual(got.headers["connection"], "close")
        self.assertEqual(self.upstream.heads, [])

    def test_what_was_answered_is_not_lost_with_the_connection(self):
        def broken(client):
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun")
            client.close()
        self.upstream.behaviours["/broken"] = broken
        self.open()
        rest = "x" * 100_000  # unread when the mirror ends
        got = self.ask("GET /npm/broken", "", rest)
        self.assertEqual((got.status, got.body), (200, b"begun"))
        self.assertFalse(got.broke)  # by a reset

    def test_silence_ends(self):
        self.upstream.behaviours["/quince"] = silent
        self.open()
        began = time.monotonic()
        self.ask("GET /npm/quince")
        self.assertLess(time.monotonic() - began, 8)
        self.assertIn("silent", self.close()["trouble"])

    def test_failures_are_trouble_until_what_was_asked_for_comes(self):
        self.upstream.behaviours["/quince"] = answer(503, b"{}")
        self.open()
        self.assertEqual(self.ask("GET /npm/quince").status, 503)
        self.assertEqual(self.ask("GET /npm/unknown").status, 404)
        self.upstream.behaviours["/quince"] = answer(200, b"{}")
        self.assertEqual(self.ask("GET /npm/quince").status, 200)
        self.assertEqual(self.close()["trouble"], "")

    def test_a_mirror_out_of_reach(self):
        self.upstream.listener.shutdown(socket.SHUT_RDWR)  # who waits in accept() would go on
        self.open()
        got = self.ask("GET /npm/quince")
        self.assertEqual(got.status, 502)
        self.assertIn("does not answer", self.close()["trouble"])

    def test_bytes_are_bounded(self):
        self.upstream.behaviours["/quince"] = endless
        self.open(limits={"bytes": 300_000})
        got = self.ask("GET /npm/quince")
        self.assertLessEqual(len(got.body), 400_000)
        self.assertEqual(self.ask("GET /npm/quince").status, 403)
        self.assertIn("300000 bytes", self.close()["past_bound"])

    def test_requests_and_connections_are_bounded(self):
        self.upstream.behaviours["/quince"] = answer(200, b"{}")
        self.open(limits={"requests": 2, "connections": 2})
        statuses = [self.ask("GET /npm/quince").status for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 403])
        time.sleep(0.5)  # until those are gone
        held = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(2)]
        time.sleep(0.5)
        self.assertEqual(self.ask("GET /npm/quince").status, 0)
        for one in held:
            one.close()
        self.assertIn("2 requests", self.close()["past_bound"])

    def test_closing_cuts_what_runs(self):
        for behaviour in (silent, endless):
            self.upstream.behaviours["/quince"] = behaviour
            self.open(limits={"silence_ms": 60_000, "bytes": 1 << 40})
            asking = threading.Thread(target=self.ask, args=("GET /npm/quince",))
            asking.start()
            time.sleep(0.5)
            began = time.monotonic()
            self.close()
            self.assertLess(time.monotonic() - began, 2)
            asking.join(5)
            self.assertFalse(asking.is_alive())
            with self.assertRaises(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1)

    def test_nothing_goes_out_past_the_deadline(self):
        self.upstream.behaviours["/quince"] = endless
        self.open(limits={"bytes": 1 << 40}, seconds=1)
        self.assertEqual(self.tell("renew", seconds=2)["op"], "done")
        began = time.monotonic()
        self.ask("GET /npm/quince")
        self.assertLess(time.monotonic() - began, 4)
        self.assertEqual(self.tell("renew")["op"], "refused")
        self.close()

    def test_what_cannot_be_opened(self):
        told = self.open(mirrors=["wheels"])
        self.assertIn("no mirror 'wheels'", told["message"])
        self.assertEqual(self.tell("open")["op"], "refused")
        self.assertEqual(self.tell("renew")["op"], "refused")
        self.assertEqual(self.tell("close")["op"], "refused")
        self.assertEqual(self.open()["op"], "done")
        self.assertIn("already", self.open()["message"])

    def test_a_client_that_resets_hurts_nobody(self):
        self.upstream.behaviours["/quince"] = endless
        self.open(limits={"bytes": 1 << 40})
        for _ in range(5):
            client = socket.create_connection(("127.0.0.1", self.port))
            client.sendall(b"GET /npm/quince HTTP/1.1\r\nhost: x\r\n\r\n")
            client.recv(100)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        time.sleep(0.5)
        self.upstream.behaviours["/quince"] = answer(200, b"well")
        self.assertEqual(self.ask("GET /npm/quince").body, b"well")
        self.assertEqual(self.close()["trouble"], "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
