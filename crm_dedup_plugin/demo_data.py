"""A small, seeded set of labelled pairs, so that the toolkit can be tried before one's own data are at hand.

Contacts and companies of an invented world: duplicates, near misses that share much, and pairs that the records
cannot decide. Write it: ``crm-dedup prepare --demo 1500``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from difflib import SequenceMatcher

from crm_dedup_plugin.demo_words import BRAND, CITY, FIRST, LAST, LEGAL, MAIL, STREET, TITLE, TRADE
from crm_dedup_plugin.schema import LABELS

DEFAULT_PAIRS = 1500
_SPARE_FIELD = 0.05  # how often a record carries a field that decides nothing
_THIN = 0.7  # share of undecidable pairs that know too little; the others contradict themselves

_STYLES = (  # concept: field name, in the manner of three kinds of CRM export
    {"first": "first_name", "last": "last_name", "mobile": "mobile", "dob": "date_of_birth", "tax": "tax_id",
     "phone": "phone", "email": "email", "company": "company", "name": "company_name", "domain": "website"},
    {"first": "FirstName", "last": "LastName", "mobile": "MobilePhone", "dob": "Birthdate", "tax": "VATNumber__c",
     "phone": "Phone", "email": "Email", "company": "Account", "name": "Name", "domain": "Website",
     "street": "MailingStreet", "city": "MailingCity", "title": "Title"},
    {"first": "First Name", "last": "Last Name", "mobile": "Mobile No.", "dob": "DOB", "tax": "VAT No.",
     "phone": "Tel.", "email": "E-mail", "company": "Company", "name": "Company", "domain": "Web",
     "street": "Address", "city": "City", "title": "Position"},
)  # fmt: skip
_WORDS = {"first": "first name", "last": "last name", "dob": "date of birth", "tax": "tax number", "domain": "web domain"}


def generate(pairs: int = DEFAULT_PAIRS, seed: int = 7) -> Iterator[dict]:
    """Yield `pairs` labelled rows with clusters, a third of each decision; the same arguments give the same rows."""
    rng = random.Random(seed)
    kinds = {"DUPLICATE": _DUPLICATE, "NO_MATCH": _NO_MATCH}
    for number in range(pairs):
        decision = LABELS[number % len(LABELS)]
        choices = kinds[decision] if decision != "POSSIBLE" else (_THIN_PAIRS if rng.random() < _THIN else _TORN_PAIRS)
        name, make = rng.choice(choices)
        left, right = make(rng)
        if rng.random() < 0.5:
            left, right = right, left
        cluster = f"e{number}"
        yield {
            "id": f"demo-{number:05d}",
            "slice": name,
            "cluster_a": cluster,
            "cluster_b": cluster if decision == "DUPLICATE" else f"{cluster}b",
            "input": dict(zip(("record_a", "record_b"), _records(left, right, rng), strict=True)),
            "output": {"decision": decision, "reasoning": _explain(left, right)},
        }


# -- the world --------------------------------------------------------------------------------------------------


def _person(rng: random.Random, **known: str) -> dict[str, str]:
    office = _company(rng)
    person = {
        "first": rng.choice(list(FIRST)), "last": rng.choice(LAST), "company": office["name"],
        "title": rng.choice(TITLE), "phone": office["phone"], "street": office["street"], "city": office["city"], **known,
    }  # fmt: skip
    first, last = person["first"], person["last"]
    user = rng.choice((f"{first}.{last}", f"{first[0]}{last}", f"{last}{rng.randint(2, 99)}", f"{first}{rng.randint(2, 99)}"))
    birth = f"{rng.randint(1950, 2003)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    return {**person, "email": f"{user.lower()}@{rng.choice(MAIL)}", "mobile": _number(rng), "dob": birth}


def _company(rng: random.Random, **known: str) -> dict[str, str]:
    name = known.get("name") or f"{rng.choice(BRAND)} {rng.choice(TRADE)} {rng.choice(LEGAL)[0]}"
    brand, trade, _ = name.split()
    return {
        "name": name, "domain": f"{brand}{trade}.example".lower(), "phone": _number(rng),
        "tax": str(rng.randint(10**8, 10**9 - 1)), "street": f"{rng.randint(1, 240)} {rng.choice(STREET)} Street",
        "city": rng.choice(CITY), **known,
    }  # fmt: skip


def _shared(entity: dict[str, str], *keys: str) -> dict[str, str]:
    return {key: entity[key] for key in keys}


def _other(rng: random.Random, words, word: str) -> str:
    return rng.choice([candidate for candidate in words if candidate != word])


def _number(rng: random.Random) -> str:
    return f"+{rng.choice((1, 44, 49, 46, 33))} {rng.randint(200, 989)} {rng.randint(200, 999)} {rng.randint(1000, 9999)}"


# -- how records come to differ -------------------------------------------------------------------------------------


def _typo(text: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(text) - 1)
    dropped, doubled = text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]
    swapped = text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :]
    return rng.choice((dropped, doubled, swapped))


def _worn(entity: dict[str, str], rng: random.Random) -> dict[str, str]:
    """Return the same entity as another clerk would have typed it."""
    worn = dict(entity)
    for key in ("mobile", "phone"):
        if key in worn and rng.random() < 0.6:
            digits = worn[key].split(" ", 1)
            worn[key] = rng.choice((f"({digits[1].replace(' ', ') ', 1)}", worn[key].replace(" ", "-"), digits[1].replace(" ", "")))
    if "street" in worn and rng.random() < 0.5:
        worn["street"] = worn["street"].replace("Street", "St.")
    if "first" in worn:
        change = rng.random()
        if change < 0.4:
            worn["first"] = FIRST[worn["first"]]
        elif change < 0.75:
            key = rng.choice(("first", "last"))
            worn[key] = _typo(worn[key], rng)
        else:
            worn["last"] = worn["last"].upper()
    else:
        worn["name"] = _renamed(worn["name"], rng)
    return worn


def _renamed(name: str, rng: random.Random) -> str:
    body, legal = name.rsplit(" ", 1)
    change = rng.random()
    if change < 0.5:
        return f"{body} {dict(LEGAL)[legal]}".strip()
    return f"{_typo(body, rng)} {legal}" if change < 0.75 else body.upper()


def _keep(entity: dict[str, str], rng: random.Random, must: tuple[str, ...], may: tuple[str, ...]) -> dict[str, str]:
    return {key: value for key, value in entity.items() if key in must or (key in may and rng.random() < _SPARE_FIELD)}


# -- one function for each kind of pair -----------------------------------------------------------------------------

_NAMES = ("first", "last")
_OFFICE = ("company", "title", "phone", "city", "street")


def _same_contact(rng):
    person, key = _person(rng), rng.choice(("email", "mobile", "dob"))
    must, may = (*_NAMES, key), ("email", "mobile", *_OFFICE)
    if key == "dob":
        must += (rng.choice(("email", "mobile")),)
    return _keep(person, rng, must, may), _keep(_worn(person, rng), rng, must, may)


def _moved_contact(rng):
    person = _person(rng)
    moved = {**_worn(person, rng), **_shared(_person(rng), *_OFFICE)}
    must = (*_NAMES, "mobile", rng.choice(("email", "dob")), "company")
    return _keep(person, rng, must, _OFFICE), _keep(moved, rng, must, _OFFICE)


def _same_account(rng):
    company = _company(rng)
    must = ("name", *rng.choice((("tax",), ("domain", "phone"), ("domain", "street", "city"), ("phone", "street", "city"))))
    may = ("domain", "phone", "city", "street")
    return _keep(company, rng, must, may), _keep(_worn(company, rng), rng, must, may)


def _relative(rng):
    person = _person(rng)
    other = _person(rng, first=_other(rng, FIRST, person["first"]), **_shared(person, "last", "street", "city"))
    must, may = (*_NAMES, "street", "city", rng.choice(("email", "mobile", "dob"))), ("email", "mobile")
    return _keep(person, rng, must, may), _keep(other, rng, must, may)


def _colleague(rng):
    person = _person(rng)
    names = {"first": _other(rng, FIRST, person["first"]), "last": _other(rng, LAST, person["last"])}
    other = _person(rng, **names, **_shared(person, "company", "phone", "street", "city"))
    must, may = (*_NAMES, "company", "phone"), ("email", "mobile", "title", "city", "street")
    return _keep(person, rng, must, may), _keep(other, rng, must, may)


def _namesake(rng):
    person = _person(rng)
    other = _person(rng, **_shared(person, *_NAMES, "city"))
    must = (*_NAMES, "city", "dob", rng.choice(("email", "mobile")))
    return _keep(person, rng, must, _OFFICE), _keep(other, rng, must, _OFFICE)


def _branch(rng):
    company = _company(rng)
    other = _company(rng, name=company["name"], city=_other(rng, CITY, company["city"]))
    must, may = ("name", "street", "city", "phone"), ("domain", "tax")
    return _keep(company, rng, must, may), _keep(other, rng, must, may)


def _similar_account(rng):
    company = _company(rng)
    brand, trade, legal = company["name"].split()
    other = _company(rng, name=f"{brand} {_other(rng, TRADE, trade)} {legal}", city=company["city"])
    must, may = ("name", "city", rng.choice(("tax", "domain", "phone"))), ("domain", "phone")
    return _keep(company, rng, must, may), _keep(other, rng, must, may)


def _thin_contact(rng):
    person, extra = _person(rng), ("city", "company")
    left = _keep(person, rng, (*_NAMES, rng.choice(extra)), ("title",))
    right = _keep(_worn(person, rng), rng, (*_NAMES, rng.choice(extra)), (rng.choice(("email", "mobile", "dob")),))
    return left, right


def _torn_contact(rng):
    person = _person(rng)
    agrees, differs = rng.sample(("email", "mobile", "dob"), 2)
    torn = {**person, differs: _person(rng, **_shared(person, *_NAMES))[differs]}
    must = (*_NAMES, agrees, differs)
    return _keep(person, rng, must, _OFFICE), _keep(torn, rng, must, _OFFICE)


def _thin_account(rng):
    company = _company(rng)
    left = _keep(company, rng, ("name",), ("city",))
    return left, _keep(_worn(company, rng), rng, ("name",), (rng.choice(("domain", "phone", "tax")),))


def _torn_account(rng):
    company = _company(rng)
    torn = {**_worn(company, rng), "tax": _company(rng)["tax"]}
    must, may = ("name", "domain", "tax"), ("phone", "city")
    return _keep(company, rng, must, may), _keep(torn, rng, must, may)


_DUPLICATE = (("same_contact", _same_contact), ("moved_contact", _moved_contact), ("same_account", _same_account))
_THIN_PAIRS = (("thin_contact", _thin_contact), ("thin_account", _thin_account))
_TORN_PAIRS = (("torn_contact", _torn_contact), ("torn_account", _torn_account))
_NO_MATCH = (
    ("relative", _relative),
    ("colleague", _colleague),
    ("namesake", _namesake),
    ("branch", _branch),
    ("similar_account", _similar_account),
)


# -- what the steward writes ------------------------------------------------------------------------------------------


def _records(left: dict[str, str], right: dict[str, str], rng: random.Random) -> tuple[dict, dict]:
    style = rng.choice(_STYLES)
    return tuple({style.get(key, key): value for key, value in side.items()} for side in (left, right))


def _explain(left: dict[str, str], right: dict[str, str]) -> str:
    """Return what a steward would note: each field that both records have, and how it compares."""
    keys = (*_NAMES, "name", "email", "mobile", "dob", "tax", "domain", "phone", "street")
    notes = [f"{_WORDS.get(key, key)} {_compare(key, left[key], right[key])}" for key in keys if key in left and key in right]
    return f"{', '.join(notes)}.".capitalize()


def _compare(key: str, left: str, right: str) -> str:
    if key in ("mobile", "phone"):
        left, right = (text.translate({ord(sign): None for sign in "+-() "})[-10:] for text in (left, right))
    left, right = left.casefold(), right.casefold()
    if left == right:
        return "same"
    if key == "name":
        left, right = (" ".join(text.split()[:2]) for text in (left, right))
    names = {left, right}
    short = key == "first" and any(names == {full.casefold(), nick.casefold()} for full, nick in FIRST.items())
    if key in ("first", "last", "name", "street") and (short or SequenceMatcher(None, left, right).ratio() > 0.72):
        return "close"
    return "differs"
