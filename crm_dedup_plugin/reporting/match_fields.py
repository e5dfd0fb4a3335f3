"""The fields of records, brought together by what they mean, and how they compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from crm_dedup_plugin.matching.records import Source
from crm_dedup_plugin.policy.fields import CONCEPTS
from crm_dedup_plugin.policy.values import SAME, plain, relation
from crm_dedup_plugin.reporting.templates import printable

HOW = {"same": "same", "close": "alike", "differs": "different", "unclear": "other script", "only_a": "only in A", "only_b": "only in B"}
_VARIANTS = 12  # different values of a field, the most frequent ones, among which the usual one is looked for


def place(record: dict, sources: Sequence[Source]) -> str:
    """Return where a record stands: its id and its line, with the file where there are several."""
    file = f" of {printable(sources[record['source']].path.rpartition('/')[2], 40)}" if len(sources) > 1 else ""
    return f"id {printable(record['id'] or '-', 40)}, line {record['line']:,}{file}"


def words(record: dict, sources: Sequence[Source]) -> list[str]:
    """Return one or two values by which a person knows the record again."""
    concepts = {column.name: column.concept for column in sources[record["source"]].columns}
    by_concept: dict[str | None, str] = {}
    for name, value in record["evidence"].items():
        by_concept.setdefault(concepts.get(name), value)
    name = by_concept.get("name") or " ".join(filter(None, (by_concept.get("first"), by_concept.get("last"))))
    known = list(filter(None, (name, by_concept.get("company"), by_concept.get("email"))))[:2] or list(record["evidence"].values())[:2]
    return [printable(value, 50) for value in known] or ["(nothing but blanks)"]


Key = tuple[str | None, str | int]  # a concept and its how-manieth column; or None and a column's name


def aligned(members: Iterable[dict], sources: Sequence[Source], cells: str = "evidence") -> tuple[list[Key], list[dict[Key, tuple[str, str]]]]:
    """Return the keys of these records, in the order of the columns, and each record's names and values by key.

    The same fields of several files share a key. A record's `cells` are its "evidence", or all its "values".
    """
    keys: list[dict[str, Key]] = []
    for source in sources:
        seen: Counter[str] = Counter()
        of_source: dict[str, Key] = {}
        for column in source.columns:
            of_source[column.name] = (column.concept, seen[column.concept]) if column.concept else (None, column.name)
            seen[column.concept] += 1
        keys.append(of_source)
    found = [{keys[one["source"]].get(name, (None, name)): (name, value) for name, value in one[cells].items()} for one in members]
    used = {key for one in found for key in one}
    return [key for key in dict.fromkeys(key for one in (*(source.values() for source in keys), *found) for key in one) if key in used], found


def how(key: Key, a: str, b: str) -> str:
    """Return how two values of a field compare: a key of `HOW`."""
    if not a or not b:
        return "only_a" if a else "only_b"
    return SAME if plain(a) == plain(b) else relation(key[0], a, b) if key[0] in CONCEPTS else "differs"


def usual_value(key: Key, values: Sequence[str]) -> str:
    """Return the value that says the same as most of the others, the first of several."""
    counts = Counter(values).most_common(_VARIANTS)
    return max(counts, key=lambda one: sum(count for other, count in counts if how(key, one[0], other) == SAME))[0]


def compared(keys: Sequence[Key], keyed: Sequence[dict[Key, tuple[str, str]]], longest: int) -> list[list[tuple[str, bool]]]:
    """Return of each record the values under some keys, fit to be shown, each with whether it differs from what most of the records say."""
    usual = {key: usual_value(key, [one[key][1] for one in keyed if key in one]) for key in keys}
    rows = ([(key, one.get(key, ("", ""))[1]) for key in keys] for one in keyed)
    return [[(printable(value, longest), bool(value) and how(key, usual[key], value) != SAME) for key, value in row] for row in rows]
