"""What the page asks and tells: requests become calls of the board, and the board is made anew when its run has been.

Every answer says the session's version, which each change raises: so a page sees that another window has changed something.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crm_dedup_plugin.errors import UserError

LIMIT, LONGEST_NOTE, LONGEST_SEARCH = 200, 4000, 200


class Busy(UserError):
    """The run is being made anew, so for now nothing can be shown or answered."""


class Session:
    """A board that several windows use, one request at a time."""

    def __init__(self, make: Callable[[], Any], made_from: Sequence[Path]):
        """`make` returns the board, which stands on the files `made_from`; raises UserError where there is none to be made."""
        self._make, self._made_from, self._lock = make, made_from, threading.RLock()
        self._start, self._changes = secrets.token_hex(4), 0
        self._seen = self._signature()
        self.board = make()

    def ask(self, what: str, words: Mapping[str, str]) -> dict:
        """Return the answer to a question of `QUESTIONS`; raises UserError for words that make no sense, KeyError for no question."""
        question = QUESTIONS[what]
        with self._lock:
            return self._answered(lambda: question(self._current(), words))

    def tell(self, what: str, said: dict) -> dict:
        """Do one of `CHANGES`, which is on the disk before this returns; raises UserError, and then nothing has changed."""
        change = CHANGES[what]
        with self._lock:
            board, before = self._current(), self.version
            found = self._answered(lambda: change(board, said))
            self._changes += found["change"] is not None
            return {**found, "before": before, "version": self.version}

    @property
    def version(self) -> str:
        return f"{self._start}-{self._changes}"

    def _answered(self, work: Callable[[], dict]) -> dict:
        try:
            return {**work(), "version": self.version}
        except UserError:
            raise
        except Exception:
            if self._signature() != self._seen:  # the files went away meanwhile
                raise Busy(_BUSY) from None
            raise

    def _current(self) -> Any:
        """Return the board, made anew where its files are not those that it was made from."""
        found = self._signature()
        if None in found:
            raise Busy(_BUSY)
        if found != self._seen:
            self.board = self._make()
            self._seen = found
            self._changes += 1
        return self.board

    def _signature(self) -> list[tuple[int, int] | None]:
        return [(found.st_ino, found.st_mtime_ns) if (found := _stat(path)) else None for path in self._made_from]


_BUSY = "The run is being made anew by `crm-dedup match`. Your answers are kept; this page goes on by itself when it is done."


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def _number(words: Mapping[str, Any], name: str) -> int:
    found = words.get(name)
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 16:
        return int(found)
    if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        return found
    raise UserError(f"{name} is no number of a record: reload the page")


def _text(words: Mapping[str, Any], name: str, longest: int) -> str:
    found = words.get(name, "")
    if not isinstance(found, str) or len(found) > longest:
        raise UserError(f"{name} is no text of at most {longest:,} characters: shorten it")
    return found


def _pair(words: Mapping[str, Any]) -> tuple[int, int]:
    return _number(words, "a"), _number(words, "b")


def _rows(said: dict, name: str) -> list[int]:
    found = said.get(name)
    if not isinstance(found, list) or not found or len(found) > LIMIT:
        raise UserError(f"{name} are no 1 to {LIMIT} records: choose some")
    return [_number({name: row}, name) for row in found]


def _shown(board: Any, pair: Any, drawn: str = "") -> dict:
    """Return a pair with how it was drawn, or that there is none."""
    return {"pair": board.pair(*pair) if pair else None, "drawn": drawn}


def _next(board: Any, words: Mapping[str, Any]) -> dict:
    found = board.next(after=_pair(words) if "a" in words else None)
    return _shown(board, found and (found.a, found.b), found.drawn if found else "")


def _following(board: Any, words: Mapping[str, Any]) -> dict:
    found = board.following(_pair(words))
    return _shown(board, found) if found else _next(board, words)


def _page(listed: Callable, words: Mapping[str, str], first: str) -> dict:
    found = listed(words.get("filter", first), _text(words, "search", LONGEST_SEARCH), _number(words, "offset"), min(_number(words, "limit"), LIMIT))
    return {"page": found}


def _answer(board: Any, said: dict) -> dict:
    pair, drawn = _pair(said), _text(said, "drawn", 20)
    change = board.answer([pair], _text(said, "answer", 20), _text(said, "note", LONGEST_NOTE), drawn or "chosen", said.get("blind") is True)
    return {"change": change, **_next(board, {"a": pair[0], "b": pair[1]})}


QUESTIONS: dict[str, Callable[[Any, Mapping[str, str]], dict]] = {
    "version": lambda board, words: {},
    "progress": lambda board, words: {"progress": board.progress()},
    "pair": lambda board, words: _shown(board, _pair(words)),
    "next": _next,
    "before": lambda board, words: _shown(board, board.before(_pair(words) if "a" in words else None)),
    "following": _following,
    "queue": lambda board, words: _page(board.queue, words, "waiting"),
    "groups": lambda board, words: _page(board.groups, words, "all"),
    "group": lambda board, words: {"group": board.group(_number(words, "row"))},
}
CHANGES: dict[str, Callable[[Any, dict], dict]] = {
    "answer": _answer,
    "undo": lambda board, said: {"change": board.undo()},
    "redo": lambda board, said: {"change": board.redo()},
    "leave-out": lambda board, said: {"change": board.leave_out(_number(said, "row"))},
    "split": lambda board, said: {"change": board.split(_rows(said, "rows"), _rows(said, "others"))},
    "join": lambda board, said: {"change": board.join(*_pair(said))},
    "primary": lambda board, said: {"change": board.primary(_number(said, "row"))},
    "value": lambda board, said: {"change": board.value(_number(said, "row"), _text(said, "field", 1000))},
}
