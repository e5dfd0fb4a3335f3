"""Files of pairs, one JSON object a line, and the only code that reads them.

Training data hold ``input`` (two records) and ``output`` (a decision and its reasoning); read them with `read_rows`.
Asking a model takes two records alone, with a label or without one: `read_pairs` reads training data as well as
lines such as ``{"record_a": {...}, "record_b": {...}, "label": 1}``.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import LABELS, MAX_REASONING_CHARS
from crm_dedup_plugin.pair.record import Record, RecordError, check, normalise

MAX_ERRORS = 20
SIDES = ("record_a", "record_b")
_NOTES = ("id", "slice", "cluster_a", "cluster_b")  # what a row may say of its pair: text or a whole number
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON can spell it, UTF-8 cannot
_CURE = "name a file of pairs, one JSON object a line"
_Parsed = TypeVar("_Parsed")


class DataError(UserError):
    """Lines that cannot be used; the message names the file, the line, the field and the cure."""

    def __init__(self, problem: str, origin: str = "", line: int = 0):
        """Take what is wrong, and where: `line` is counted from 1; 0 stands for no single line."""
        super().__init__(f"{origin}, line {line}: {problem}" if line else problem)
        self.line = line


class Pair(NamedTuple):
    """Two normalised records, and what the file says of them."""

    record_a: Record
    record_b: Record
    label: str | int | None = None  # a decision; or 1 for the same entity, 0 for different ones; or None: not labelled
    id: str | None = None
    slice: str | None = None
    cluster_a: str | None = None
    cluster_b: str | None = None
    line: int = 0  # counted from 1

    @property
    def records(self) -> tuple[Record, Record]:
        """Return the two records in the order of the file."""
        return self.record_a, self.record_b

    @property
    def name(self) -> str:
        """Return the id, or the number of the line where there is none."""
        return self.id or f"line {self.line}"


def read_pairs(path: Path | str, limit: int | None = None, cure: str = _CURE, labels: Sequence[str | int] | None = None) -> list[Pair]:
    """Return the pairs of a file, at most `limit`; if `labels` are given, each pair must have one of them.

    Raises DataError if lines are wrong, if there are none, or if there is no such file; `cure` tells what to do about the last.
    """
    with _opened(path, cure) as lines:
        return parse_pairs(lines, str(path), limit, labels)


def read_record(path: Path | str) -> Record:
    """Return the record that a JSON file holds; raises DataError if it holds anything else, or if there is no such file."""
    with _opened(path, "name a JSON file with one record") as lines:
        try:
            return normalise(check(_object(b"".join(lines).decode("utf-8-sig"), 'write one flat object, as in {"name": "..."}')))[0]
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: byte {error.start + 1} is not UTF-8: save the file as UTF-8") from None
        except (DataError, RecordError) as error:
            raise DataError(f"{path}: {error}") from None


def read_rows(path: Path | str, cure: str = _CURE) -> tuple[list[dict], Counter]:
    """Return the rows of a file of training data, their records normalised, and how often each field was cut.

    Training data are checked in full: unknown keys, missing reasonings and repeated ids are errors. Raises DataError like `read_pairs`.
    """
    cut, first_lines = Counter(), {}

    def parse(value: dict, number: int) -> dict:
        row = _row(value, cut)
        if (key := row.get("id")) is not None and (first := first_lines.setdefault(str(key), number)) != number:
            raise DataError(f"id: {key!r} is already on line {first}: make ids unique or leave them out")
        return row

    with _opened(path, cure) as lines:
        return _all(_each(lines, str(path), parse), str(path)), cut


def read_objects(path: Path | str) -> list[dict]:
    """Return the objects of a file as they are, whatever they hold; raises DataError like `read_pairs`."""
    with _opened(path, _CURE) as lines:
        return _all(_each(lines, str(path), lambda value, number: value), str(path))


def parse_pairs(lines: Iterable[bytes], origin: str, limit: int | None = None, labels: Sequence[str | int] | None = None) -> list[Pair]:
    """Return the pairs in `lines`, which come from `origin`; raises DataError, which names up to `MAX_ERRORS` bad lines."""
    return _all(islice(each_pair(lines, origin, labels), limit), origin)


def each_pair(lines: Iterable[bytes], origin: str, labels: Sequence[str | int] | None = None) -> Iterator[Pair | DataError]:
    """Yield the pair on each line or the DataError that names it, so that one bad line does not stop the others. Skips blank lines."""

    def parse(value: dict, number: int) -> Pair:
        pair = _pair(value, number)
        if labels is not None and pair.label not in labels:
            raise DataError(f"label: {pair.label!r} is not expected here: use {', '.join(map(str, labels))}")
        return pair

    return _each(lines, origin, parse)


@contextmanager
def _opened(path: Path | str, cure: str) -> Iterator[Iterable[bytes]]:
    try:
        with Path(path).open("rb") as lines:
            yield lines
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: {cure}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder: {cure}") from None


def _each(lines: Iterable[bytes], origin: str, parse: Callable[[dict, int], _Parsed]) -> Iterator[_Parsed | DataError]:
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if text.strip():
                yield parse(_object(text), number)
        except UnicodeDecodeError as error:
            yield DataError(f"byte {error.start + 1} is not UTF-8: save the file as UTF-8", origin, number)
        except DataError as error:
            yield DataError(str(error), origin, number)


def _all(found: Iterable[_Parsed | DataError], origin: str) -> list[_Parsed]:
    good, errors = [], []
    for one in found:
        (errors if isinstance(one, DataError) else good).append(one)
        if len(errors) == MAX_ERRORS:
            errors.append(f"(stopped after {MAX_ERRORS} errors)")
            break
    if errors:
        raise DataError("\n".join(map(str, errors)))
    if not good:
        raise DataError(f"{origin}: no pairs in it: add one JSON object a line")
    return good


def _object(text: str, cure: str = 'write {"input": {...}, "output": {...}}, one object a line, in double quotes') -> dict:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON ({error}): {cure}") from None
    except ValueError:
        raise DataError(f"a number has more than {sys.get_int_max_str_digits()} digits: write it as text or leave it out") from None
    except RecursionError:
        raise DataError("lists or objects are nested too deeply: write one flat object a record") from None
    if not isinstance(value, dict):
        raise DataError(f"not an object: {cure}")
    return value


def _pair(value: dict, number: int) -> Pair:
    (record_a, _), (record_b, _) = _records(value)
    label = value.get("label")
    if "output" in value:
        label = _decision(_part(value, "output", ("decision",)))
    elif label is not None and label not in (0, 1):
        raise DataError(f"label: {label!r} must be 1 (the same entity) or 0 (different ones)")
    label = label if label is None or isinstance(label, str) else int(label)  # true is 1, too
    notes = {name: None if (note := _note(value, name)) in (None, "") else str(note) for name in (*_NOTES, "pair_id")}
    pair_id = notes.pop("pair_id")
    return Pair(record_a, record_b, label, line=number, **{**notes, "id": notes["id"] or pair_id})


def _row(value: dict, cut: Counter) -> dict:
    allowed = sorted((*_NOTES, "input", "output"))
    if unknown := sorted(set(value) - set(allowed)):
        raise DataError(f"{unknown[0]}: unknown key: use {', '.join(allowed)}")
    answer = _part(value, "output", ("decision", "reasoning"), only=True)
    _part(value, "input", SIDES, only=True)
    records = _records(value)
    decision, reasoning = _decision(answer), answer["reasoning"]
    if not isinstance(reasoning, str) or not reasoning.strip():
        raise DataError("output.reasoning: must be a sentence: say which fields decide")
    notes = {name: _writable(_note(value, name)) for name in _NOTES if name in value}
    for _, shortened in records:
        cut.update(shortened)
    if len(reasoning) > MAX_REASONING_CHARS:
        cut["output.reasoning"] += 1
        reasoning = reasoning[:MAX_REASONING_CHARS].rstrip()
    pair = {side: record for side, (record, _) in zip(SIDES, records, strict=True)}
    checked = {**notes, "input": pair, "output": {"decision": decision, "reasoning": _writable(reasoning)}}
    return {name: checked[name] for name in value}  # in the order of the file


def _records(value: dict) -> list[tuple[Record, list[str]]]:
    """Return both records, normalised, and the fields that were cut: from "input", or from the object itself."""
    prefix = "input." if "input" in value else ""
    pair = _part(value, "input", SIDES) if prefix else value
    found = []
    for side in SIDES:
        if side not in pair:
            raise DataError(f"{side}: missing: a pair holds {' and '.join(SIDES)}")
        try:
            found.append(normalise(check(pair[side])))
        except RecordError as error:
            raise DataError(f"{prefix}{side}: {error}") from None
    return found


def _part(value: dict, name: str, keys: tuple[str, ...], only: bool = False) -> dict:
    """Return the object under `name`, which must hold `keys`, and nothing else if `only`."""
    part = value.get(name)
    if not isinstance(part, dict):
        raise DataError(f"{name}: missing or not an object: it holds {' and '.join(keys)}")
    if missing := [key for key in keys if key not in part]:
        raise DataError(f"{name}.{missing[0]}: missing: add it")
    if only and (unknown := sorted(set(part) - set(keys))):
        raise DataError(f"{name}.{unknown[0]}: unknown key: use {' and '.join(keys)}")
    return part


def _decision(answer: dict) -> str:
    if answer["decision"] not in LABELS:
        raise DataError(f"output.decision: {answer['decision']!r} is unknown: use {', '.join(LABELS)}")
    return answer["decision"]


def _note(value: dict, name: str) -> str | int | None:
    if not isinstance(note := value.get(name), (str, int, type(None))):
        raise DataError(f"{name}: must be text or a whole number")
    return note


def _writable(value: object) -> object:
    return _HALF_CHARACTER.sub("\ufffd", value) if isinstance(value, str) else value
