"""A CRM record: what one may hold, and the one form in which a model reads it.

A record is a flat object of fields. `normalise` trims it and cuts it to size, once; `to_json` writes it for the prompt.
"""

import bisect
import functools
import json
import math
import re

MAX_FIELD_CHARS = 300
MAX_NAME_CHARS = 60
MAX_RECORD_BYTES = 2400

# Characters that would break the line structure of the prompt: controls, line and paragraph separators, lone surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Every chat template spells its special tokens with one of these: <|im_end|>, </s>, [INST]. JSON lets us escape them.
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class RecordError(ValueError):
    """A record that cannot be used; the message names the field and the cure."""


class Record(dict[str, str]):
    """A record that `normalise` made: text fields within the limits, not to be changed. ``dict(record)`` is a copy that may be."""

    @functools.cached_property
    def json(self) -> str:
        """What `to_json` returns; in a match, each record is part of several pairs."""
        return _dump(self)


def check(record: object) -> dict:
    """Return `record` if it is a usable flat object; raises RecordError otherwise."""
    if not isinstance(record, dict):
        raise RecordError(f'must be an object of CRM fields, not {_kind(record)}: write {{"name": "..."}}')
    for name, value in record.items():
        if isinstance(value, (dict, list)):
            raise RecordError(f"field {_short(name)} holds {_kind(value)}: flatten it, one plain value a field")
        if isinstance(value, float) and not math.isfinite(value):
            raise RecordError(f"field {_short(name)} is not a finite number: write it as text or leave it out")
    if not any(_text(name) and _text(value) for name, value in record.items()):
        raise RecordError("is empty: give at least one field with a value")
    return record


def normalise(record: dict) -> tuple[Record, list[str]]:
    """Return the record as text fields within the limits, and the names of the fields that were cut.

    Blank fields are left out. A name keeps `MAX_NAME_CHARS` characters, a value `MAX_FIELD_CHARS`, and the whole
    record `MAX_RECORD_BYTES` bytes of JSON; later fields are cut first. Every tokenizer in use needs at most one
    token a byte, so a prompt always fits its context. Normalising twice changes nothing.
    """
    texts: dict[str, str] = {}
    for raw_name, raw_value in record.items():
        name, value = _text(raw_name)[:MAX_NAME_CHARS].rstrip(), _text(raw_value)
        if name and value:
            texts.setdefault(name, value)
    fields = Record((name, value[:MAX_FIELD_CHARS].rstrip()) for name, value in texts.items())
    if _most(fields) > MAX_RECORD_BYTES and _size(fields) > MAX_RECORD_BYTES - len("{}"):
        fields = _cut(fields)
    return fields, [name for name, value in texts.items() if fields.get(name, "") != value]


def to_json(record: dict) -> str:
    """Return the record, normalised if it is not yet, as one line of JSON that holds no special token of any chat template."""
    return (record if isinstance(record, Record) else normalise(record)[0]).json


def identity(record: dict) -> str:
    """Return a key that two records share exactly when they hold the same values, whatever case and field order."""
    fields = {_text(name).casefold(): _text(value).casefold() for name, value in record.items()}
    return json.dumps(sorted(item for item in fields.items() if all(item)))


def _cut(fields: Record) -> Record:
    """Return as much of the fields as a record may hold; later ones are cut first."""
    found, room = Record(), MAX_RECORD_BYTES - len("{}")
    for name, value in fields.items():
        if kept := _fit(name, value, room):
            found[name] = kept
            room -= _size({name: kept}) + len(",")
    return found


def _fit(name: str, value: str, room: int) -> str:
    """Return the longest start of `value` whose JSON, with its name, needs at most `room` bytes."""
    if _size({name: value}) <= room:
        return value
    length = bisect.bisect(range(1, len(value)), room, key=lambda length: _size({name: value[:length]}))
    return value[:length].rstrip()


def _size(fields: dict[str, str]) -> int:
    """Return the bytes of JSON that some fields add to a record."""
    return len(_dump(fields).encode()) - len("{}")


def _most(fields: dict[str, str]) -> int:
    """Return the most bytes of JSON that a record could need, in a fraction of the time: six a character, for an escape."""
    return 2 + 6 * (sum(map(len, fields)) + sum(map(len, fields.values()))) + len('"":"",') * len(fields)


def _dump(fields: dict[str, str]) -> str:
    return _ENCODE(fields).replace("<", "\\u003c").replace("[", "\\u005b")


def _text(value: object) -> str:
    if type(value) is str and value.isprintable():
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool):
        value = str(value).lower()
    text = str(value)
    return (text if text.isprintable() else _CONTROL.sub(" ", _SURROGATE.sub("\ufffd", text))).strip()


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")


def _short(name: str) -> str:
    return repr(name if len(name) <= MAX_NAME_CHARS else name[:MAX_NAME_CHARS] + "...")
