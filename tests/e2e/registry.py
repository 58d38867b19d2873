"""A stand-in registry of packages on loopback, for the tests of [deps]: packs tiny packages by
itself, serves their documents and tarballs, and remembers what was asked. Packages' names are made
up, and so is the host that their documents name: nothing there is ever asked.
"""
import base64
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading

FAR_HOST = "https://packages.invalid"  # what lock files and documents say; replaced by npm


class Package:
    def __init__(self, name, version, files, depends=None, program=None):
        self.name, self.version = name, version
        about = {"name": name, "version": version, "dependencies": depends or {}}
        if program:
            about["bin"] = {program: "cli.js"}
        tarred = io.BytesIO()
        with tarfile.open(fileobj=tarred, mode="w") as tar:
            for path, text in {"package.json": json.dumps(about), **files}.items():
                entry = tarfile.TarInfo("package/" + path)
                data = text.encode()
                entry.size = len(data)
                entry.mode = 0o755 if path == "cli.js" else 0o644
                tar.addfile(entry, io.BytesIO(data))
        self.tarball = gzip.compress(tarred.getvalue(), mtime=0)
        self.integrity = "sha512-" + base64.b64encode(
            hashlib.sha512(self.tarball).digest()).decode()
        short = name.rsplit("/", 1)[-1]
        self.path = f"/{name}/-/{short}-{version}.tgz"
        about["dist"] = {"tarball": FAR_HOST + self.path, "integrity": self.integrity}
        self.document = {"name": name, "dist-tags": {"latest": version},
                         "versions": {version: about}}
        self.lock = {"version": version, "resolved": FAR_HOST + self.path,
                     "integrity": self.integrity, "dependencies": depends or {}}
        if program:
            self.lock["bin"] = about["bin"]


class Registry:
    def __init__(self, packages):
        self.answers = {}
        for package in packages:
            self.answers[package.path] = (200, "application/octet-stream", package.tarball)
            self.answers["/" + package.name] = (
                200, "application/json", json.dumps(package.document).encode())
        self.asked = []
        self.broken = False  # answers everything with 503
        self.hold = None     # an Event: answers wait for it
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.asked.append(("GET", self.path))
                if registry.hold is not None:
                    registry.hold.wait(60)
                status, kind, body = registry.answers.get(
                    self.path.replace("%2f", "/"), (404, "application/json", b"{}"))
                if registry.broken:
                    status, kind, body = 503, "application/json", b'{"error": "away"}'
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # who asked is killed

            def do_POST(self):
                registry.asked.append(("POST", self.path))
                self.send_error(500)

            do_PUT = do_DELETE = do_POST

            def log_message(self, *ignored):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def write_npm_files(write, place, packages, wanted):
    """package.json and its lock file, as npm writes them."""
    about = {"name": "genome", "version": "1.0.0", "dependencies": wanted}
    entries = {"": about}
    for package in packages:
        entries["node_modules/" + package.name] = package.lock
    write(place, "package.json", json.dumps(about))
    write(place, "package-lock.json", json.dumps({
        "name": "genome", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
        "packages": entries}))
