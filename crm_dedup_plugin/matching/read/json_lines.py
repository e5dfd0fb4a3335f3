"""JSON Lines: one flat object a line. Numbers keep their digits, and what is nested stays as JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.read.tables import Row, Table, numbered
from crm_dedup_plugin.matching.read.text_files import find_encoding, known, open_text

NO_OBJECT = "it is no JSON object"
NESTED = "some values are lists or objects: they are kept as JSON"


def looks_like(start: bytes) -> bool:
    """Tell whether a file that begins so holds JSON objects."""
    first = start.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n")[0].strip()
    return first.startswith(b"{") and _object(first.decode("utf-8", "replace")) is not None


def json_table(path: Path, encoding: str | None) -> Table:
    """Return a file of JSON Lines as a table with the names of all objects; raises UserError where no line is an object."""
    encoding, notes = (known(encoding, path), []) if encoding else find_encoding(path)
    names: dict[str, int] = {}
    with open_text(path, encoding) as file:
        first = file.read(4096).lstrip("\ufeff \t\r\n")
        if first.startswith("["):
            raise UserError(f"{path} is one list of JSON: write one object a line, as `jq -c '.[]' {path.name} > records.jsonl` does")
        file.seek(0)
        for line in file:
            for name in _object(line) or ():
                names.setdefault(name, len(names))
    if not names:
        raise UserError(f'{path}, line 1: no line is a JSON object: write one a line, like {{"name": "Ann Lee"}}')

    def rows(width: int) -> Iterator[Row]:
        with open_text(path, encoding) as file:
            for number, line in enumerate(file, start=1):
                found = _object(line) if line.strip() else {}
                if found is None:
                    yield Row(number, [], NO_OBJECT)
                    continue
                cells = [""] * len(names)
                for name, value in found.items():
                    cells[names[name]] = _text(value, notes)
                yield Row(number, cells)

    return Table(path, "jsonl", rows, list(names), notes, encoding.removesuffix("-sig"))


def _object(line: str) -> dict | None:
    if not line.lstrip("\ufeff \t").startswith("{"):
        return None
    try:
        return json.loads(line.lstrip("\ufeff"), parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_named)
    except (ValueError, RecursionError):
        return None


def _named(pairs: list[tuple[str, object]]) -> dict:
    """Return an object in which a name that comes twice has a number: "Phone (2)"."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    found = {}
    for name, value in pairs:
        found[numbered(name, found)] = value
    return found


def _text(value: object, notes: list[str]) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if NESTED not in notes:
        notes.append(NESTED)
    return json.dumps(value, ensure_ascii=False)
