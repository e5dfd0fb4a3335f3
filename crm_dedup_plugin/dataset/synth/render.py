"""From canonical values to a record: the habits of one CRM, its field names, formats, order, placeholders and notes."""

from __future__ import annotations

import random
from functools import lru_cache

from anyascii import anyascii

_PLACEHOLDERS = {
    "email": ("test@test.com", "n/a", "none@none.com", "noemail@noemail.com"), "mobile": ("000", "n/a", "0000000000"), "phone": ("0000", "n/a", "-"),
    "birth": ("1900-01-01", "n/a"), "street": ("n/a", "-", "TBD"), "company": ("n/a", "Unknown"), "website": ("n/a",), "role": ("n/a", "TBD"),
    "tax": ("000000000", "n/a"), "city": ("n/a", "Unknown"), "postcode": ("00000",), "notes": ("n/a", "-"),
}  # fmt: skip
_DATES = (
    "{y:04d}-{m:02d}-{d:02d}",
    "{d:02d}.{m:02d}.{y:04d}",
    "{m:02d}/{d:02d}/{y:04d}",
    "{d:02d}/{m:02d}/{y:04d}",
    "{d} {name} {y}",
    "{y:04d}{m:02d}{d:02d}",
)
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_SHORTER = (("Street", "St."), ("Straße", "Str."), ("strasse", "str."), ("straße", "str."), ("Avenue", "Ave"), ("Road", "Rd"), ("Lane", "Ln"),
            ("Drive", "Dr"), ("Boulevard", "Blvd"), ("Calle", "C."), ("Court", "Ct"), ("Place", "Pl"))  # fmt: skip
_TITLES = ("Dr.", "Mr", "Ms", "Prof.", "Mrs")


class Habits:
    """How one clerk in one CRM writes: drawn once for a record."""

    def __init__(self, rng: random.Random, schema: dict[str, tuple[str, ...]], latin: bool, plain: bool):
        """Take the field names, whether to write Latin letters only, and whether to keep to plain forms."""
        self.rng, self.schema, self.latin = rng, schema, latin
        self.phone = rng.choice((0, 1) if plain else (0, 1, 1, 2, 3))
        self.date = _DATES[0] if plain else rng.choice(_DATES)
        self.short = rng.random() < 0.4
        self.pick = rng.random()
        seldom = 0.0 if plain else 1.0
        self.caps = rng.random() < 0.08 * seldom
        self.full_name = rng.random() < 0.35 * seldom
        self.last_first = rng.random() < 0.3
        self.title = rng.random() < 0.08 * seldom
        self.swap = rng.random() < 0.04 * seldom
        self.misplace = rng.random() < 0.05 * seldom
        self.shuffled = rng.random() < 0.5 * seldom


def text(concept: str, value: object, habits: Habits) -> str:
    """Return a canonical value as this CRM holds it."""
    if concept in ("mobile", "phone"):
        return _number(*value, habits.phone)
    if concept == "birth":
        year, month, day = value
        return habits.date.format(y=year, m=month, d=day, name=_MONTHS[month - 1])
    if isinstance(value, tuple):
        return value[1 if habits.latin else 0]
    if concept == "website":
        return habits.rng.choice((value, f"www.{value}", f"https://www.{value}", f"https://{value}/"))
    if habits.latin and not value.isascii() and concept in ("street", "city"):
        value = _latin(value)
    if concept == "street" and habits.short:
        return next((value.replace(old, new) for old, new in _SHORTER if old in value), value)
    return value


def _number(forms: tuple[str, ...], digits: str, form: int) -> str:
    """Return a telephone number in one of its forms; the last one is bare digits."""
    text, source = forms[form % len(forms)], iter(digits)
    written = "".join(next(source) if sign == "#" else sign for sign in text)
    return written if form < len(forms) else "".join(sign for sign in written if sign.isdigit())


def record(values: dict[str, str], wanted: set[str], habits: Habits, is_person: bool) -> dict[str, str]:
    """Return a record with the fields of one schema; `values` are texts by concept, `wanted` those it shall have."""
    rng, kept = habits.rng, {concept: value for concept, value in values.items() if concept in wanted}
    if is_person:
        kept = _personal_name(kept, habits)
    if habits.misplace:
        _misplace(kept, rng)
    for concept in sorted(wanted - kept.keys()):
        if concept in _PLACEHOLDERS and rng.random() < 0.2:
            kept[concept] = rng.choice(_PLACEHOLDERS[concept])
    if habits.caps:
        kept = {
            concept: value.upper() if concept in ("first", "last", "name", "company", "city", "street") else value for concept, value in kept.items()
        }
    concepts = list(kept)
    if habits.shuffled:
        rng.shuffle(concepts)
    return {_field(habits, concept, is_person): kept[concept] for concept in concepts}


def _personal_name(kept: dict[str, str], habits: Habits) -> dict[str, str]:
    first, last = kept.get("first"), kept.get("last")
    if first and habits.title:
        first = f"{habits.rng.choice(_TITLES)} {first}"
    suffix = f" {kept['suffix']}" if "suffix" in kept else ""
    rest = {concept: value for concept, value in kept.items() if concept not in ("first", "last", "suffix")}
    if first and last and habits.full_name:
        return {"name": f"{last}, {first}{suffix}" if habits.last_first and not suffix else f"{first} {last}{suffix}", **rest}
    if first and last and habits.swap and not suffix:
        first, last = last, first
    return {**({"first": first} if first else {}), **({"last": last + suffix} if last else {}), **rest}


def _misplace(kept: dict[str, str], rng: random.Random) -> None:
    """Put a value where it does not belong: the mobile into the phone field, the e-mail into the notes."""
    if "mobile" in kept and "phone" not in kept:
        kept["phone"] = kept.pop("mobile")
    elif "email" in kept and "notes" not in kept and rng.random() < 0.5:
        kept["notes"] = f"mail: {kept.pop('email')}"


def _field(habits: Habits, concept: str, is_person: bool) -> str:
    names = habits.schema[concept]
    if concept in ("street", "city", "postcode", "country") and len(names) == 2 and names[1].startswith("Billing"):
        return names[0 if is_person else 1]
    return names[0] if len(names) == 1 else names[int(habits.pick * len(names))]


@lru_cache(maxsize=20_000)
def _latin(value: str) -> str:
    return " ".join(word.capitalize() for word in anyascii(value).split())
