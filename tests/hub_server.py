"""The few endpoints of the Hub that an upload needs, on this machine: ``with HubServer() as hub: hub.url``.

It keeps what it was sent, and misbehaves as told: ``hub.fail["/commit/"] = 503`` (or "drop", or "stall").
"""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

TOKEN = "hf_" + "LocalTestToken00"
LFS = (".safetensors", "tokenizer.json", ".png")


class HubServer(ThreadingHTTPServer):
    """Repositories by kind and name, objects of large files by hash, and a log of all requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repos, self.objects, self.log, self.commits, self.fail = {}, {}, [], [], {}
        self.role, self.stalled = "write", threading.Event()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Say nothing when a client that was killed is gone."""

    def files(self, kind: str, repo: str) -> dict[str, bytes]:
        return self.repos[kind, repo]["files"]

    def sent(self) -> list[str]:
        """Return the hashes of the large files that were sent, each time that they were."""
        return [path.split("/")[-1] for method, path in self.log if method == "PUT" and path.startswith("/objects/")]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, value, status: int = 200, **headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def serve(self):
        hub, path = self.server, urlsplit(self.path).path
        for part, what in list(hub.fail.items()):
            if part in path and what in ("drop", "stall"):
                hub.stalled.set()
                if what == "stall":
                    threading.Event().wait(30)
                self.close_connection = True
                return self.connection.close()
        body = self.body()
        hub.log.append((self.command, path))
        for part, what in hub.fail.items():
            if part in path and isinstance(what, int):
                told = f"told to, with {self.headers.get('Authorization')}"
                return self.answer({"error": told, "errors": [{"message": told}]}, what)
        if path.startswith("/objects/"):
            oid = path.split("/")[-1]
            assert hashlib.sha256(body).hexdigest() == oid
            hub.objects[oid] = body
            return self.answer({})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer({"error": "Invalid username or password."}, 401, X_Error_Message="Invalid credentials in Authorization header")
        for pattern, act in ROUTES.items():
            if match := re.fullmatch(pattern, path):
                return act(self, hub, body, **match.groupdict())
        return self.answer({"error": f"no such endpoint: {path}"}, 404)

    do_GET = do_POST = do_PUT = serve


def whoami(self, hub, body):
    self.answer({"type": "user", "name": "ann", "auth": {"accessToken": {"role": hub.role}}})


def create(self, hub, body):
    asked = json.loads(body)
    kind, repo = asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"
    found = (kind, repo) in hub.repos
    hub.repos.setdefault((kind, repo), {"visibility": asked.get("visibility"), "private": asked.get("visibility") != "public", "files": {}})
    self.answer({"url": f"{hub.url}/{'datasets/' if kind == 'dataset' else ''}{repo}"}, 409 if found else 200)


def info(self, hub, body, kind, repo):
    if (kind, repo) not in hub.repos:
        return self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
    self.answer({"id": repo, "private": hub.repos[kind, repo]["private"], "sha": "0" * 40, "siblings": []})


def tree(self, hub, body, kind, repo):
    self.answer([{"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in hub.files(kind, repo).items()])


def validate(self, hub, body):
    self.answer({"warnings": [], "errors": []})


def preupload(self, hub, body, kind, repo):
    files = []
    for file in json.loads(body)["files"]:
        large, held = file["path"].endswith(LFS), hub.files(kind, repo).get(file["path"])
        oid = None if held is None else hashlib.sha256(held).hexdigest() if large else hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()
        files.append({"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid})
    self.answer({"files": files})


def batch(self, hub, body, kind, repo):
    objects = []
    for one in json.loads(body)["objects"]:
        wanted = {} if one["oid"] in hub.objects else {"actions": {"upload": {"href": f"{hub.url}/objects/{one['oid']}"}}}
        objects.append({**one, **wanted})
    self.answer({"transfer": "basic", "objects": objects})


def commit(self, hub, body, kind, repo):
    lines = [json.loads(line) for line in body.splitlines()]
    hub.commits.append([(line["key"], line["value"].get("path")) for line in lines[1:]])
    for line in lines[1:]:
        path, value, files = line["value"]["path"], line["value"], hub.files(kind, repo)
        if line["key"] == "deletedFile":
            del files[path]
        else:
            files[path] = base64.b64decode(value["content"]) if line["key"] == "file" else hub.objects[value["oid"]]
    self.answer({"commitUrl": f"{hub.url}/{repo}/commit/{'1' * 40}", "commitOid": "1" * 40, "hookOutput": ""})


def settings(self, hub, body, kind, repo):
    asked = json.loads(body)
    hub.repos[kind, repo]["private"] = asked.get("private", asked.get("visibility") == "private")
    self.answer({})


_NAME = r"(?P<repo>[^/]+/[^/]+)"
_REPO = rf"/api/(?P<kind>model|dataset)s/{_NAME}"
ROUTES = {
    "/api/whoami-v2": whoami,
    "/api/repos/create": create,
    "/api/validate-yaml": validate,
    _REPO: info,
    f"{_REPO}/revision/main": info,
    f"{_REPO}/tree/main": tree,
    f"{_REPO}/preupload/main": preupload,
    f"{_REPO}/commit/main": commit,
    f"{_REPO}/settings": settings,
    rf"/{_NAME}\.git/info/lfs/objects/batch": lambda *a, repo: batch(*a, "model", repo),
    rf"/datasets/{_NAME}\.git/info/lfs/objects/batch": lambda *a, repo: batch(*a, "dataset", repo),
}
