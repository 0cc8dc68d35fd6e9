"""A server on this machine with the addresses, headers and answers of the Hugging Face hub that the client uses."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "AmirMasoud/GMD"


class Hub:
    """Files of the repository, and what the server is to do wrong.

    Attributes:
        files: content by path.
        cut: paths whose first answer breaks off halfway.
        dead: paths whose every answer breaks off at once.
        corrupt: paths whose content arrives with one byte changed.
        requests: what was asked for: (method, path, Range header or None).
    """

    def __init__(self, files):
        self.files = files
        self.cut, self.dead, self.corrupt = set(), set(), set()
        self.extra_tree = []
        self.requests = []
        self.endpoint = ""

    def fetched(self):
        """(path, range) of the contents that were asked for."""
        return [
            (path.split(COMMIT + "/")[1], span)
            for method, path, span in self.requests
            if method == "GET" and COMMIT + "/" in path and "/resolve/" in path
        ]

    def tree(self):
        entries = []
        for path, content in self.files.items():
            entry = {"type": "file", "path": path, "size": len(content), "oid": git_blob(content)}
            if not path.startswith((".", "data/small")):
                sha = hashlib.sha256(content).hexdigest()
                entry |= {"lfs": {"oid": sha, "size": len(content), "pointerSize": 130}}
            entries.append(entry)
        return [{"type": "directory", "path": "data", "oid": "0" * 40, "size": 0}, *entries, *self.extra_tree]


def git_blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serve(files):
    hub = Hub(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path, self.headers.get("Range")))
            api = f"/api/datasets/{REPOSITORY}"
            if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
                self.send_json({"id": REPOSITORY, "sha": COMMIT, "private": False, "tags": [], "siblings": []})
            elif path == f"{api}/tree/{COMMIT}":
                self.send_json(hub.tree())
            elif path.startswith(f"/datasets/{REPOSITORY}/resolve/{COMMIT}/"):
                self.send_content(path.split(COMMIT + "/")[1], body)
            else:
                self.send_json({"error": "no"}, 404, {"X-Error-Code": "RevisionNotFound"})

        def send_json(self, content, status=200, headers=()):
            text = json.dumps(content).encode()
            self.send_response(status)
            for key, value in {
                "Content-Length": len(text),
                "Content-Type": "application/json",
                **dict(headers),
            }.items():
                self.send_header(key, str(value))
            self.end_headers()
            self.wfile.write(text)

        def send_content(self, path, body):
            content = hub.files[path]
            etag = hashlib.sha256(content).hexdigest()
            if path in hub.corrupt:
                content = content[:-1] + bytes([content[-1] ^ 1])
            span = self.headers.get("Range")
            start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
            self.send_response(206 if span else 200)
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"', "Content-Length": len(content) - start}
            if span:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            for key, value in headers.items():
                self.send_header(key, str(value))
            self.end_headers()
            if not body:
                return
            rest = content[start:]
            if path in hub.dead or path in hub.cut:
                self.wfile.write(rest[: 0 if path in hub.dead else len(rest) // 2])
                hub.cut.discard(path)
                self.close_connection = True
                return
            self.wfile.write(rest)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
