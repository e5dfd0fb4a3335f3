"""The review's page, on this machine only: ``crm-dedup review RUN``.

Nothing is asked of any other machine, nothing that a record holds is written to a log, and static files are a fixed list.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.reporting.templates import environment, printable
from crm_dedup_plugin.review.security import Guard
from crm_dedup_plugin.review.session import CHANGES, QUESTIONS, Busy, Session

HOST = "127.0.0.1"
STATIC = Path(__file__).parent / "static"
STYLES = ("style.css.jinja", "match_style.css.jinja")  # of the reports, which this page shares
OWN_STYLE, SCRIPTS = "review.css", tuple(sorted(path.name for path in STATIC.glob("*.js")))
GRACE = 2  # seconds that requests in progress have after Ctrl-C


def application(session: Session, name: str, token: str, port: int) -> Guard:
    """Return the page of the run `name` as an ASGI application that answers at ``http://127.0.0.1:PORT/TOKEN/``."""
    css = "".join(environment().get_template(style).render() for style in STYLES) + (STATIC / OWN_STYLE).read_text(encoding="utf-8")
    page = _page(name, session)
    files = {"style.css": ("text/css", css)}
    files |= {script: ("text/javascript", (STATIC / script).read_text(encoding="utf-8")) for script in SCRIPTS}

    async def show(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def static(request: Request) -> Response:
        if request.path_params["file"] not in files:
            raise HTTPException(404)
        media, text = files[request.path_params["file"]]
        return Response(text, media_type=media)

    async def ask(request: Request) -> Response:
        what, words = request.path_params["what"], dict(request.query_params)
        return await _answered(what in QUESTIONS, lambda: session.ask(what, words))

    async def tell(request: Request) -> Response:
        what, body = request.path_params["what"], await request.body()
        return await _answered(what in CHANGES, lambda: session.tell(what, _object(body)))

    async def known(request: Request, error: Exception) -> Response:
        return PlainTextResponse("There is nothing here.\n", 404) if getattr(error, "status_code", 404) == 404 else PlainTextResponse("No.\n", 405)

    routes = [
        Route("/", show, methods=["GET"]),
        Route("/static/{file}", static, methods=["GET"]),
        Route("/ask/{what}", ask, methods=["GET"]),
        Route("/tell/{what}", tell, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={HTTPException: known}), token, port)


def _page(name: str, session: Session) -> str:
    reader = environment(autoescape=True)
    template = reader.from_string((STATIC / "page.html").read_text(encoding="utf-8"))
    return template.render(run=printable(name, 80), groups=session.board.has_groups, scripts=SCRIPTS, nbsp=Markup("&nbsp;"))


def _object(body: bytes) -> dict:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError("the request is no JSON object: reload the page")
    return found


async def _answered(known: bool, work: Callable[[], dict]) -> Response:
    """Return what `work` found as JSON, or what went wrong in words: 400 where the request was wrong or could not be carried out."""
    if not known:
        raise HTTPException(404)
    try:
        return _json(await run_in_threadpool(work))
    except Busy as error:
        return _json({"error": str(error)}, 503)
    except UserError as error:
        return _json({"error": str(error)}, 400)
    except Exception as error:  # its message may hold values of records, and so stays out of the log
        where = traceback.extract_tb(error.__traceback__)[-1]
        print(f"error: {type(error).__name__} at {Path(where.filename).name}:{where.lineno}", file=sys.stderr, flush=True)
        if os.environ.get("CRM_DEDUP_VERBOSE"):
            traceback.print_tb(error.__traceback__)
        return _json({"error": "Something is wrong in the program: the terminal shows where. Nothing was changed."}, 500)


def _json(found: dict, status: int = 200) -> Response:
    return Response(json.dumps(found, allow_nan=False, default=dataclasses.asdict), status, media_type="application/json")


def serve(session: Session, name: str, token: str, listening: socket.socket) -> None:
    """Answer on a socket that listens until Ctrl-C."""
    import uvicorn

    app = application(session, name, token, listening.getsockname()[1])
    settings = {"access_log": False, "log_config": None, "lifespan": "off", "ws": "none", "server_header": False, "proxy_headers": False}
    uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=GRACE, **settings)).run(sockets=[listening])
