"""What a list draws once and keeps for all its records: columns, how its sources write, what is missing, wrong and out of date."""

import random
from collections.abc import Callable
from typing import NamedTuple

from crm_dedup_plugin.dataset.synth import cases, formats, mistakes
from crm_dedup_plugin.dataset.synth.list_records import COLUMNS


class Kind(NamedTuple):
    """A kind of list: whom it lists (a key of `cases.LISTED`), and the columns that it may have."""

    listed: str
    names: tuple[tuple[str, ...], ...]  # alternatives
    likely: dict[str, float]  # how often
    more: tuple[str, ...] = ()  # at least one of these, where there are any


class Source(NamedTuple):
    """How one of those writes who entered the records: formats, and small letters, capitals or neither."""

    habits: formats.Habits
    letters: Callable[[str], str]


class Regime(NamedTuple):
    """What holds for a whole list. Shares and chances are from 0 to 1."""

    kind: str
    columns: dict[str, str]  # name of the column by concept, in the order of the list
    missing: dict[str, float]  # share of the records in which a concept is missing
    damaged: dict[str, float]  # chance of a mistake by concept
    again: float  # chance that a value with a mistake gets another one
    mistakes: dict[str, tuple[mistakes.Mistake, ...]]  # that are made, by concept
    clean_first: bool  # whether the first record of each entity has no mistakes
    several: float  # share of the entities that have several records
    more: float  # chance of one more record than two, than three, ...
    outdated: float  # chance that a record has an old or wrong value, for each group of columns
    changes: tuple[str, ...]  # cases of how the records of one entity come to differ
    alike: float  # share of the entities that are relatives, colleagues, namesakes or neighbours of an earlier one
    new_firm: float  # chance that somebody works elsewhere than the one before
    second_names: bool
    past: int  # years before our time
    other_script: float  # share of the records after the first that are in another script, where a country has two
    latin: bool
    sources: tuple[Source, ...]
    told: str  # what the column "entry" holds, which says nothing of who it is: "codes", "amounts", "days" or "people"
    prevalence: float  # share of the pairs that are of one entity


_SITE = ("street", "city", "postcode", "phone", "country", "email", "state")
KINDS = {
    "register": Kind("people", (("first", "last"),) * 2 + (("name",),), {"birth": 0.85}, (*_SITE, "role", "gender", "company")),
    "people": Kind("names of people", (("name",),), {"kind": 0.7}),
    "companies": Kind("companies", (("company",),), {"kind": 0.7}),
    "directory": Kind("sites", (("company",),), {}, (*_SITE, "website", "trade")),
    "facilities": Kind("sites", (("company",),), {"place": 1.0, "country": 1.0}),
    "lines": Kind("lines", (("line",),), {}),
}
# In turn, so that any few lists are a fair choice of all.
_TURNS = tuple("register directory register people register facilities register companies directory register lines directory".split())
_NAMES_ALONE = ("people", "companies")  # kinds of lists, often in several scripts
_WITH_ENTRIES = 0.5  # share of lists that hold something else of each record
_LETTERS = (*[str] * 15, str.lower, str.lower, str.upper, str.upper, str.upper)
_ISO = "{y:04d}-{m:02d}-{d:02d}"


def draw(number: int, rng: random.Random) -> Regime:
    """Return the regime of list `number`."""
    name = _TURNS[number % len(_TURNS)]
    kind, several = KINDS[name], rng.choice((0.1, 0.25, 0.5, 0.9))
    shown = _shown(kind, rng)
    alone = name in _NAMES_ALONE  # with nothing else that is missing or differs
    missing = 0.0 if alone else rng.choice((0.0, 0.05, 0.15, 0.3, 0.5))
    damaged = rng.choice((0.2, 0.35, 0.5, 0.7) if alone else (0.03, 0.1, 0.2, 0.35, 0.5, 0.7))
    plain, latin = rng.random() < 0.5, rng.random() < 0.6
    return Regime(
        kind=name,
        columns=_named(shown, rng),
        missing={concept: min(0.9, missing * rng.uniform(0.2, 2)) for concept in shown},
        damaged={concept: min(0.95, damaged * rng.uniform(0.3, 1.8)) for concept in shown},
        again=rng.choice((0.0, 0.0, 0.3, 0.6)),
        mistakes=_mistakes(rng),
        clean_first=rng.random() < 0.5,
        several=several,
        more=rng.choice((0.0, 0.2, 0.5, 0.75)),
        outdated=rng.choice((0.0, 0.05, 0.15, 0.3)),
        changes=tuple(rng.choices(cases.LISTED[kind.listed]["same"], k=rng.randint(2, 4))),
        alike=rng.choice((0.1, 0.3, 0.6)),
        new_firm=rng.choice((0.15, 0.4, 1.0)),
        second_names=rng.random() < 0.25,
        past=rng.randint(60, 280) if rng.random() < 0.3 else 0,
        other_script=rng.choice((0.0, 0.3) if alone else (0.0, 0.0, 0.3)),
        latin=latin,
        sources=tuple(_source(plain, latin, rng) for _ in range(rng.randint(1, 3))),
        told=rng.choice(("codes", "amounts", "days", "people")),
        prevalence=min(several, rng.uniform(0.15, 0.6)),
    )


def _shown(kind: Kind, rng: random.Random) -> list[str]:
    shown = [*rng.choice(kind.names), *(concept for concept, often in kind.likely.items() if rng.random() < often)]
    shown += rng.sample(kind.more, rng.randint(1, len(kind.more))) if kind.more else []
    return shown + ["entry"] * (rng.random() < _WITH_ENTRIES)


def _named(shown: list[str], rng: random.Random) -> dict[str, str]:
    """Return a name for each column, no two alike."""
    named: dict[str, str] = {}
    for concept in shown:
        possible = COLUMNS["street" if concept == "place" else concept]
        named[concept] = rng.choice([name for name in possible if name not in named.values()])
    return named


def _mistakes(rng: random.Random) -> dict[str, tuple[mistakes.Mistake, ...]]:
    """Return what goes wrong with each concept: of texts only some kinds of mistakes, such as those of a scanner."""
    some = tuple(rng.choices(tuple(dict.fromkeys(mistakes.IN_TEXT)), k=rng.randint(2, 8)))
    usual = {concept: made if isinstance(made, tuple) else (made,) for concept, made in mistakes.IN_LIST.items()}
    return usual | {concept: some for concept in mistakes.TEXTS if concept != "first"}


def _source(plain: bool, latin: bool, rng: random.Random) -> Source:
    habits = formats.Habits(rng, {}, latin, plain)
    if rng.random() < 0.85:
        habits.date = _ISO
    return Source(habits, rng.choice(_LETTERS))
