"""What each column of a file is: from the profile, from its name, and from what it holds."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from crm_dedup_plugin.matching.read import dates, profiles
from crm_dedup_plugin.matching.read.profiles import ACCOUNT, CONTACT, Profile
from crm_dedup_plugin.matching.records import CHANGED, CONSTANT, CREATED, EMPTY, EVIDENCE, ID, NEVER, Column
from crm_dedup_plugin.policy.fields import Kind, concept_of, is_placeholder, kind_of

FEW = 10  # records among which one value in every row may be chance
SAMPLE = 1000  # values of a column that are looked at closely
SEPARATORS = (" ::: ", ";", "|", "\n", ",", " / ")
_JSON = re.compile(r"\s*[\[{].*[\]}]\s*", re.DOTALL)
_EMAIL, _PHONE = re.compile(r"[^\s@]+@[^\s@]+\.\w+"), re.compile(r"[+\d(][\d\s()./-]{4,}\d")
_ALIKE = {"email": _EMAIL, "phone": _PHONE, "mobile": _PHONE}
_OF_ACCOUNTS = ("industry", "employees", "number of employees", "annual revenue", "billing *", "vat*", "tax*", "legal form", "account *", "company *")


class Survey(NamedTuple):
    """What the columns of a file hold; each list has an entry a column."""

    filled: list[int]  # cells that are not blank
    only: list[str | None]  # the value of all of them, if it is one
    samples: list[list[str]]  # some different values
    records: int


def survey(batches: Iterable[Sequence[Sequence[str]]], width: int) -> Survey:
    """Return what columns hold; the batches are lists of rows of `width` cells, without those that are no records."""
    filled, only, samples, records = [0] * width, [None] * width, [{} for _ in range(width)], 0
    several = [False] * width
    for rows in batches:
        records += len(rows)
        for at, cells in enumerate(zip(*rows, strict=True)):
            counts = Counter(map(str.strip, cells))
            filled[at] += len(rows) - counts.pop("", 0)
            several[at] = several[at] or len(counts) > 1 or (only[at] is not None and any(value != only[at] for value in counts))
            only[at] = next(iter(counts), only[at])
            if len(samples[at]) < SAMPLE:
                samples[at].update(dict.fromkeys(list(counts)[: SAMPLE - len(samples[at])]))
    return Survey(filled, [None if more else one for one, more in zip(only, several, strict=True)], list(map(list, samples)), records)


def understand(names: Sequence[str], found: Survey, profile: Profile) -> tuple[list[Column], list[str]]:
    """Return what each column is, and what a person should know about it."""
    filled = [name for name, count in zip(names, found.filled, strict=True) if count]
    special = {}
    for role, patterns in ((ID, profile.id), (CREATED, profile.created), (CHANGED, profile.changed)):
        name = profiles.column([one for one in filled if one not in special], patterns)
        special.update({name: role} if name else {})
    columns, notes = [], []
    for at, name in enumerate(names):
        role, concept = _named(name, profile)
        role = special.get(name, role)
        if not found.filled[at]:
            role = EMPTY
        elif role == EVIDENCE and found.only[at] is not None and found.records >= FEW and 2 * found.filled[at] > found.records:
            role = CONSTANT
        elif role == EVIDENCE and 2 * sum(1 for value in found.samples[at] if _JSON.fullmatch(value)) > len(found.samples[at]):
            role = NEVER
            notes.append(f"{name}: holds JSON or lists in brackets, and is no evidence")
        columns.append(Column(name, role, concept, _separator(name, concept, found.samples[at], profile)))
    if unnamed := [name for name, count in zip(names, found.filled, strict=True) if count and re.fullmatch(r"Column \d+", name)]:
        notes.append(f"columns without a name: {', '.join(unnamed[:20])}; name them in the file if they matter")
    return columns, notes


def _named(name: str, profile: Profile) -> tuple[str, str | None]:
    """Return the role and the concept of a column by its name alone."""
    corrected = next((concept for column, concept in profile.concepts.items() if profiles.matches(name, column)), None)
    if corrected:
        return EVIDENCE, corrected
    if any(profiles.matches(name, one) for one in profile.evidence):
        return EVIDENCE, concept_of(name)
    if any(profiles.matches(name, one) for one in profile.never) or kind_of(name) not in (Kind.ATTRIBUTE, Kind.ENTITY_ID):
        return NEVER, None
    return EVIDENCE, concept_of(name)


def _separator(name: str, concept: str | None, sample: Sequence[str], profile: Profile) -> str | None:
    """Return what separates several values in a cell: as the profile says, or as e-mail addresses and phone numbers show."""
    for column, separator in profile.several_values.items():
        if profiles.matches(name, column):
            return separator
    if not (alike := _ALIKE.get(concept or "")):
        return None
    counts = Counter()
    for value in sample:
        for separator in SEPARATORS:
            parts = [part.strip() for part in value.split(separator)]
            if len(parts) > 1 and all(alike.fullmatch(part) for part in parts):
                counts[separator] += 1
                break
    return counts.most_common(1)[0][0] if counts else None


def kind(columns: Sequence[Column]) -> tuple[str, bool]:
    """Return whether records are contacts or accounts, as their columns say, and whether that is sure."""
    concepts = {column.concept for column in columns if column.role in (EVIDENCE, CONSTANT)}
    if concepts & {"first", "last", "birth", "salutation"}:
        return CONTACT, True
    if "company" in concepts and "name" not in concepts:
        return ACCOUNT, "mobile" not in concepts and "role" not in concepts
    business = sum(1 for column in columns if any(profiles.matches(column.name, one) for one in _OF_ACCOUNTS))
    return (ACCOUNT, False) if business and "company" not in concepts and "role" not in concepts else (CONTACT, False)


def order_of_dates(columns: Sequence[Column], found: Survey, profile: Profile) -> tuple[str | None, list[str]]:
    """Return whether dates of the file begin with the day or the month, and a note where nothing shows it."""
    if profile.dates:
        return profile.dates, []
    times = [at for at, column in enumerate(columns) if column.role in (CREATED, CHANGED)]
    values = [value for at in times for value in found.samples[at]]
    shown = dates.order(values)
    unsure = shown is None and any(
        "/" in value and dates.to_iso(value, dates.DAY_FIRST) != dates.to_iso(value, dates.MONTH_FIRST) for value in values
    )
    note = "dates such as 3/12/2024 were read with the month first: if that is wrong, put `dates: day_first` into a profile"
    return shown, [note] if unsure else []


def empty(value: str, profile: Profile) -> bool:
    """Tell whether a cell says nothing: blank, a word for nothing, or what only fills a mandatory field."""
    return is_placeholder(value) or value.strip().casefold() in profile.null_words
