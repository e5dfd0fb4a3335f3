"""How one CRM writes an entity down: field names, formats, order of fields, placeholders."""

import random
from functools import lru_cache

from anyascii import anyascii

from crm_dedup_plugin.dataset import VOCABULARY
from crm_dedup_plugin.policy.vocabulary import load

_SHAPE = {"dates": [str], "months": [str], "titles": [str], "street_abbreviations": [[str]], "placeholders": {str: [str]}}
_WORDS = load("formats", _SHAPE, VOCABULARY)
_NAMES = ("first", "last", "name", "company", "city", "street")  # may be written in capitals


class Habits:
    """How one clerk in one CRM writes; drawn once for each record."""

    def __init__(self, rng: random.Random, schema: dict[str, tuple[str, ...]], latin: bool, plain: bool):
        """Draw habits. `schema` has the field names by concept, `latin` allows Latin letters only, `plain` the plainest formats only."""
        self.rng, self.schema, self.latin = rng, schema, latin
        seldom = 0.0 if plain else 1.0
        self.phone = rng.choice((0, 1) if plain else (0, 1, 1, 2, 3))
        self.date = _WORDS["dates"][0] if plain else rng.choice(_WORDS["dates"])
        self.short_streets = rng.random() < 0.4
        self.field_name = rng.random()
        self.capitals = rng.random() < 0.08 * seldom
        self.full_name = rng.random() < 0.35 * seldom
        self.last_first = rng.random() < 0.3
        self.title = rng.random() < 0.08 * seldom
        self.swapped_names = rng.random() < 0.04 * seldom
        self.wrong_field = rng.random() < 0.05 * seldom
        self.shuffled = rng.random() < 0.5 * seldom


def text(concept: str, value: object, habits: Habits) -> str:
    """Return a value of the world as this CRM shows it."""
    if concept in ("mobile", "phone"):
        return _number(*value, habits.phone)
    if concept == "birth":
        year, month, day = value
        return habits.date.format(y=year, m=month, d=day, name=_WORDS["months"][month - 1])
    if isinstance(value, tuple):
        return value[1 if habits.latin else 0]
    if concept == "website":
        return habits.rng.choice((value, f"www.{value}", f"https://www.{value}", f"https://{value}/"))
    if habits.latin and not value.isascii() and concept in ("street", "city"):
        value = _in_latin(value)
    if concept == "street" and habits.short_streets:
        return next((value.replace(old, new) for old, new in _WORDS["street_abbreviations"] if old in value), value)
    return value


def record(texts: dict[str, str], wanted: set[str], habits: Habits, is_person: bool) -> dict[str, str]:
    """Return a record with the fields of the schema, from texts by concept, of which the `wanted` ones are shown."""
    rng, shown = habits.rng, {concept: value for concept, value in texts.items() if concept in wanted}
    if is_person:
        shown = _with_name(shown, habits)
    if habits.wrong_field:
        _misplace(shown, rng)
    for concept in sorted(wanted - shown.keys()):
        if concept in _WORDS["placeholders"] and rng.random() < 0.2:
            shown[concept] = rng.choice(_WORDS["placeholders"][concept])
    if habits.capitals:
        shown = {concept: value.upper() if concept in _NAMES else value for concept, value in shown.items()}
    concepts = list(shown)
    if habits.shuffled:
        rng.shuffle(concepts)
    return {_field_name(habits, concept, is_person): shown[concept] for concept in concepts}


def _number(forms: tuple[str, ...], digits: str, form: int) -> str:
    """Return a telephone number in one of its forms; the form after the last is bare digits."""
    rest = iter(digits)
    written = "".join(next(rest) if sign == "#" else sign for sign in forms[form % len(forms)])
    return written if form < len(forms) else "".join(sign for sign in written if sign.isdigit())


def _with_name(shown: dict[str, str], habits: Habits) -> dict[str, str]:
    """Return the fields of a person, those of the name first."""
    first, last = shown.get("first"), shown.get("last")
    if first and habits.title:
        first = f"{habits.rng.choice(_WORDS['titles'])} {first}"
    suffix = f" {shown['suffix']}" if "suffix" in shown else ""
    rest = {concept: value for concept, value in shown.items() if concept not in ("first", "last", "suffix")}
    if first and last and habits.full_name:
        return {"name": f"{last}, {first}" if habits.last_first and not suffix else f"{first} {last}{suffix}", **rest}
    if first and last and habits.swapped_names and not suffix:
        first, last = last, first
    return {**({"first": first} if first else {}), **({"last": last + suffix} if last else {}), **rest}


def _misplace(shown: dict[str, str], rng: random.Random) -> None:
    """Put a value into a wrong field: the mobile number into the phone field, the e-mail address into the notes."""
    if "mobile" in shown and "phone" not in shown:
        shown["phone"] = shown.pop("mobile")
    elif "email" in shown and "notes" not in shown and rng.random() < 0.5:
        shown["notes"] = f"mail: {shown.pop('email')}"


def _field_name(habits: Habits, concept: str, is_person: bool) -> str:
    names = habits.schema[concept]
    if concept in ("street", "city", "postcode", "country") and len(names) == 2 and names[1].startswith("Billing"):
        return names[0 if is_person else 1]
    return names[int(habits.field_name * len(names))]


@lru_cache(maxsize=20_000)
def _in_latin(value: str) -> str:
    return " ".join(word.capitalize() for word in anyascii(value).split())
