"""Who may ask the review's page for anything: this machine, with the token of the address, and for changes the page itself.

The page shows personal data and keeps answers, so a web site that is open in the same browser must reach neither: not by guessing the port
(the token), not under a name of its own that points here (the Host), and not by sending forms or requests (the Origin).
"""

import hmac

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 64 * 1024  # bytes of a request
HOSTS = ("127.0.0.1", "localhost")
OPEN = "Open the address that `crm-dedup review` printed."
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """An ASGI application that lets through to `app` what may pass, with the token taken off its path, and adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp, token: str, port: int):
        self.app, self.token = app, token
        self.hosts = {f"{host}:{port}" for host in HOSTS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; of anything but HTTP there is none."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        refused = self._refused(scope)
        if refused:
            await PlainTextResponse(refused[1] + "\n", refused[0])(scope, receive, send_with_headers)
            return
        rest = scope["path"].split("/", 2)[2]
        await self.app({**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode(), "root_path": ""}, receive, send_with_headers)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        """Return why a request may not pass, as a status and a sentence; None where it may."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        host = headers.get("host", [])
        if len(host) != 1 or host[0].lower() not in self.hosts:
            return 403, f"This page answers under its own address alone. {OPEN}"
        token, slash, _ = scope["path"].removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.token.encode()) or not slash:
            return 404, f"This address has no valid token. {OPEN}"
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return 405, "Only GET and POST are known here."
        if headers.get("origin") != [f"http://{host[0].lower()}"] or headers.get("sec-fetch-site", ["same-origin"]) != ["same-origin"]:
            return 403, "Only the page itself may change anything."
        if [value.partition(";")[0].strip().lower() for value in headers.get("content-type", [])] != ["application/json"]:
            return 415, "Only JSON is read here."
        length = headers.get("content-length", [""])[0]
        if not length.isdecimal():
            return 411, "The request does not say how long it is."
        return (413, f"A request has {LARGEST:,} bytes at most.") if int(length) > LARGEST else None
