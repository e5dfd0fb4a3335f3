"""How a whole record of a list wears: several slips at once, words lost or moved, dates of birth that went wrong."""

from __future__ import annotations

import random
import re

from crm_dedup_plugin.dataset.synth import noise

_SHORTER = (
    (" Street", " St"), (" Road", " Rd"), (" Avenue", " Ave"), (" Drive", " Dr"), (" Boulevard", " Blvd"), (" Court", " Ct"), (" Lane", " Ln"),
    (" and ", " & "), ("Saint ", "St. "), ("Limited", "Ltd"), ("Company", "Co"), ("straße", "str."), ("Services", "Svcs"), ("International", "Intl"),
    ("North", "N"), ("South", "S"), ("East", "E"), ("West", "W"),
)  # fmt: skip
_TEXTS = ("first", "last", "name", "company", "street", "place", "city", "line", "role", "trade")
_RATES = (0.0, 0.15, 0.35, 0.6)  # of a field to be damaged, by level


def wear(texts: dict[str, str], rng: random.Random, level: int) -> dict[str, str]:
    """Return the values of a record by concept, damaged by `level`: 0 hardly, 3 badly."""
    worn = {concept: _damaged(concept, text, rng) if rng.random() < _RATES[level] else text for concept, text in texts.items()}
    if level and {"first", "last"} <= worn.keys() and rng.random() < 0.03 * level:
        worn["first"], worn["last"] = worn["last"], worn["first"]
    letters = rng.random()
    if letters < 0.12:
        return {concept: text.lower() for concept, text in worn.items()}
    return {concept: text.upper() if concept in _TEXTS else text for concept, text in worn.items()} if letters < 0.2 else worn


def _damaged(concept: str, text: str, rng: random.Random) -> str:
    if concept == "birth":
        return _date(text, rng)
    if concept in ("postcode", "phone"):
        return noise.wrong_digit(text, rng) if rng.random() < 0.7 else re.sub(r"[ -]", "", text)
    if concept in ("email", "website"):
        return noise.typo(text, rng)
    if concept not in _TEXTS:
        return text
    return rng.choice(_FIRST if concept == "first" else _OTHER)(text, rng) or text


def twice(text: str, rng: random.Random) -> str:
    """Return a text with two slips of the fingers."""
    return noise.typo(noise.typo(text, rng), rng)


def shortened(text: str, rng: random.Random) -> str:
    """Return a text with a usual word abbreviated, or its punctuation gone."""
    fitting = [(long, short) for long, short in _SHORTER if long in text]
    return text.replace(*rng.choice(fitting)) if fitting else re.sub(r"[.,'’-]", "", text)


def lost(text: str, rng: random.Random) -> str:
    """Return a text without one of its words, never the first of two."""
    found = text.split()
    if len(found) < 3:
        return text
    del found[rng.randrange(1, len(found))]
    return " ".join(found)


def moved(text: str, rng: random.Random) -> str:
    """Return a text with its first word behind the others."""
    first, _, rest = text.partition(" ")
    return f"{rest} {first}".strip(" ,")


def _date(text: str, rng: random.Random) -> str:
    """Return a date with a wrong digit, day and month exchanged, or only the year known."""
    found = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", text)
    if not found:
        return noise.wrong_digit(text, rng)
    year, month, day = found.groups()
    kind = rng.randrange(4)
    if kind == 0 and int(day) <= 12:
        return f"{year}-{day}-{month}"
    if kind == 1:
        return f"{year}-01-01"
    if kind == 2:
        return f"{int(year) + rng.choice((-10, -1, 1, 10))}-{month}-{day}"
    return f"{year}-{month}-{rng.randint(1, 28):02d}"


_FIRST = (noise.typo, noise.typo, noise.nickname, noise.nickname, noise.initial, noise.spelled)
_OTHER = (noise.typo, noise.typo, noise.typo, noise.scanned, noise.spelled, shortened, shortened, lost, moved, twice)
