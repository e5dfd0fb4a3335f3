"""A record as an engineer would lay it out before comparing: one column a concept, cleaned, with a few derived ones."""

from __future__ import annotations

import re
from functools import lru_cache

from anyascii import anyascii

from crm_dedup_plugin.policy.fields import concept_of, is_placeholder

CODES = ("phone", "mobile", "tax", "birth", "postcode", "house")
WORDS = (
    *("first", "last", "suffix", "person", "company", "org", "email", "local", "domain", "website", "site"),
    *("street", "city", "country", "role", "salutation", "notes"),
)

_PERSONAL = {"company", "birth", "mobile", "role", "salutation", "suffix", "email"}
_LEGAL = frozenset(
    "ab ag aps as asa bv co company corp corporation eg ek eurl gbr gesellschaft gmbh inc incorporated kft kg kgaa limited limitada llc llp "
    "lp ltd ltda mbh nv ohg oy oyj plc pte pty pvt sa sarl sas sca se sl slu snc spa spzoo sro srl the ug und and et cie".split()
)
_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}


@lru_cache(maxsize=1 << 18)
def clean(value: str) -> str:
    """Return a value in lower-case ASCII with single spaces; other scripts are transliterated."""
    return " ".join(anyascii(value).casefold().split())


def whole(record: dict[str, str]) -> str:
    """Return all values of a record as one cleaned text."""
    return clean(" ".join(record.values()))


def columns(record: dict[str, str]) -> dict[str, str]:
    """Return the filled columns of a record, without placeholders; several lines of a street become one."""
    row: dict[str, str] = {}
    for field, value in record.items():
        concept = concept_of(field)
        if concept and not is_placeholder(value):
            row[concept] = f"{row[concept]} {clean(value)}" if concept == "street" and concept in row else row.get(concept, clean(value))
    _name(row)
    for code in row.keys() & {"phone", "mobile"}:
        row[code] = re.sub(r"\D", "", row[code]).lstrip("0")
    if "tax" in row:
        row["tax"] = re.sub(r"[^a-z0-9]", "", row["tax"])
    if "birth" in row:
        row["birth"] = date(row["birth"])
    if "email" in row:
        row["local"], _, row["domain"] = row["email"].partition("@")
    if "website" in row:
        row["site"] = re.sub(r"^(\w+://)?(www\.)?", "", row["website"]).partition("/")[0]
    row["house"] = " ".join(re.findall(r"\d+", row.get("street", "")))
    return {name: value for name, value in row.items() if value}


def date(text: str) -> str:
    """Return a date as YYYY-MM-DD, whatever the order of its parts, or the text where it is none.

    >>> date("3.11.1978"), date("nov 3, 1978"), date("11/25/1978"), date("19781103")
    ('1978-11-03', '1978-11-03', '1978-11-25', '1978-11-03')
    """
    text = re.sub(r"[ t]\d\d:\d\d.*$", "", text)
    compact = re.fullmatch(r"((?:18|19|20)\d\d)(\d\d)(\d\d)", text)
    parts = list(compact.groups()) if compact else re.findall(r"\d+|[a-z]{3,}", text)
    month = next((_MONTHS[part[:3]] for part in parts if part[:3] in _MONTHS), None)
    numbers = [int(part) for part in parts if part.isdigit()]
    year = next((number for number in numbers if 1800 <= number < 2100), None)
    if year is None or len(numbers) + (month is not None) != 3:
        return text
    first, *second = (number for number in numbers if number != year)
    if month is not None:
        day = first
    else:
        day, month = (first, *second) if "." in text and numbers[0] != year else (*second, first)
        if month > 12:
            day, month = month, day
    return f"{year:04}-{month:02}-{day:02}"


def _name(row: dict[str, str]) -> None:
    """Fill in first, last, person and org: a full name is a person's if anything else on the record is."""
    name = row.pop("name", "")
    if name and "first" not in row and "last" not in row and row.keys() & _PERSONAL:
        last, comma, first = name.partition(", ")
        row["first"], _, row["last"] = (first, "", last) if comma else name.rpartition(" ")
        name = ""
    row["person"] = f"{row.get('first', '')} {row.get('last', '')}".strip()
    organisation = row.get("company") or ("" if row["person"] else name)
    words = re.sub(r"[^a-z0-9]+", " ", re.sub(r"[.']", "", organisation)).split()
    row["org"] = " ".join(word for word in words if word not in _LEGAL) or " ".join(words)
