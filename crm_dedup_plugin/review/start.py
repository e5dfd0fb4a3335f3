"""``crm-dedup review``: which run is meant, is it fit for a review, and at which address it is shown."""

import contextlib
import json
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.progress import tell
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.review import server
from crm_dedup_plugin.review.board import Board
from crm_dedup_plugin.review.pair_board import PairBoard
from crm_dedup_plugin.review.session import Session
from crm_dedup_plugin.storage import lock

PORT, NEXT = 8765, 20  # the first port, and how many are tried
NOTED = ".review"  # in the folder of a run: who reviews it, and at which address; only its owner can read it
BEFORE = run_folder.STAGES[:-1]  # what must be done
EXPORTS = (".csv", ".tsv", ".xlsx", ".xls", ".parquet")


def review(run: Path, pairs: Path | None, decisions: Path | None, port: int | None, show: Callable[[str], object] | None) -> None:
    """Show a run until Ctrl-C, or, given a file of `pairs`, those, with answers kept in the folder `run`; `show` gets the address.

    `port` 0 takes any free one, None the one of the last time or the first free one from `PORT` on. Raises UserError where the run is
    not finished, is being reviewed already, or cannot be written to.
    """
    made_from = [pairs, *filter(None, [decisions])] if pairs else [run_folder.folder(run, stage) / run_folder.REPORT for stage in BEFORE]
    if not pairs:
        for stage in BEFORE:
            run_folder.report(run, stage)
        for line in changed(run):
            tell(f"note: {line}")
    with alone(run) as note, _listening(port, _before(note)) as listening:
        session = Session(lambda: PairBoard(pairs, run, decisions) if pairs else Board(run), made_from)
        token = _before(note).get("token") or secrets.token_urlsafe(24)
        address = f"http://{server.HOST}:{listening.getsockname()[1]}/{token}/"
        _write(note, {"address": address, "token": token, "port": listening.getsockname()[1]})
        print(f"review: {address} (on this machine only; Ctrl-C ends it)", flush=True)
        if show:
            show(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve(session, pairs.name if pairs else run.name, token, listening)


def find(words: str, runs: Path) -> tuple[Path, Path | None]:
    """Return the folder that `words` mean, and the file of pairs if they mean one; raises UserError where there is none."""
    path = Path(words)
    if path.is_dir() and (os.sep in words or not (runs / words).is_dir()):
        return path, None
    if (runs / words).is_dir() and words not in ("", ".", ".."):
        return runs / words, None
    if path.suffix.lower() in EXPORTS:
        raise UserError(f"{words} is an export, not a run: name its run, as in `crm-dedup review {path.stem}`, after `crm-dedup match {words}`")
    if path.is_file():
        return runs / f"{path.stem}-pairs", path
    there = sorted(one.name for one in runs.iterdir() if one.is_dir()) if runs.is_dir() else []
    known = f"these are there: {', '.join(there)}" if there else "there is none yet: run `crm-dedup match FILE` first"
    raise UserError(f"there is no run {words} in {runs}/; {known}")


def changed(run: Path) -> Iterator[str]:
    """Yield a sentence about each export that is not as it was when the run was made."""
    key = json.loads((run_folder.folder(run, "read") / run_folder.KEY).read_text(encoding="utf-8"))
    for file in key["stage"].get("files", []):
        path = Path(file["path"])
        if not path.is_file():
            yield f"{path} is no longer there: the review shows the records as the run read them"
        elif digest([path]) != file["sha256"]:
            yield f"{path} has changed since this run: the review shows the records as they were. `crm-dedup match` reads it again"


@contextlib.contextmanager
def alone(run: Path) -> Iterator[BinaryIO]:
    """Yield the note on who reviews a run while no other process can review it; raises UserError with the address of the one that does."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        note = os.fdopen(os.open(run / NOTED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    except OSError as error:
        raise UserError(f"{run} cannot be written to ({error.strerror}), so no answer could be kept: make it writable, or copy the run") from None
    with note:
        if not lock(note):
            raise UserError(f"{run} is being reviewed already: {_before(note).get('address', 'it is just starting')}")
        if not os.access(run, os.W_OK):
            raise UserError(f"{run} cannot be written to, so no answer could be kept: make it writable, or copy the run")
        yield note


def _before(note: BinaryIO) -> dict:
    """Return the address of the last time: with it, pages that are still open go on."""
    note.seek(0)
    try:
        found = json.loads(note.read())
    except ValueError:
        return {}
    sound = isinstance(found, dict) and isinstance(found.get("port"), int) and re.fullmatch(r"[\w-]{32}", str(found.get("token")), re.ASCII)
    return found if sound else {}


def _write(note: BinaryIO, found: dict) -> None:
    try:
        note.seek(0)
        note.truncate()
        note.write(json.dumps(found).encode())
        note.flush()
    except OSError as error:
        raise UserError(f"{note.name} cannot be written ({error.strerror}): make room") from None


@contextlib.contextmanager
def _listening(port: int | None, before: dict) -> Iterator[socket.socket]:
    """Yield a socket that listens on this machine alone; raises UserError where the port is taken."""
    wanted = [port] if port is not None else [before.get("port") or PORT, *range(PORT, PORT + NEXT), 0]
    for one in wanted:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((server.HOST, one))
            listening.listen()
        except (OSError, OverflowError):
            listening.close()
            continue
        with listening:
            yield listening
        return
    raise UserError(f"port {port} is taken or not allowed: name another one with --port, or leave it out for a free one")
