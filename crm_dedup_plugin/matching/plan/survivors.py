"""Which value of each field survives a merge, and from which record it came.

Parts of one address, or of one name, come from one record, so that no plan invents a street in the wrong town.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from crm_dedup_plugin.matching.plan.members import YES, Member
from crm_dedup_plugin.matching.read.profiles import DEFAULT, RULES
from crm_dedup_plugin.matching.records import CONSTANT, EVIDENCE, NEVER, Column
from crm_dedup_plugin.policy.fields import CONCEPTS
from crm_dedup_plugin.policy.values import DIFFERS, SAME, plain, relation

PRIMARY, MOST_COMPLETE, LAST_CHANGED, OLDEST, LONGEST, MOST_FREQUENT, ALL = RULES
CHOSEN = "chosen by a person"
UNITS = {"address": ("street", "postcode", "city", "country"), "name": ("first", "last", "name", "suffix", "salutation")}
OPT_OUT = re.compile(r"unsubscri|opt(ed)?[ _-]*out|do[ _]*not[ _]*(call|e?-?mail|contact|fax|phone)|donot|has ?opted", re.IGNORECASE)
_PART = re.compile(r"street|road|line|city|town|state|province|region|county|zip|post|country|stra|plz|ort\b|stadt|land\b", re.IGNORECASE)
_STATE = re.compile(r"(?:state|province|region|county)\b", re.IGNORECASE)


class Field(NamedTuple):
    """What becomes of one field of a group."""

    value: str  # exact
    rows: list[int]  # where it came from: one record, or several where all values survive
    rule: str
    lost: list[tuple[int, str]]  # what other records hold that does not survive, with their rows
    conflict: bool  # what is lost is another value, not another way to write the same


def survive(
    members: Sequence[Member], columns: Sequence[Column], rules: Mapping[str, str], chosen: Iterable[tuple[str, int]] = ()
) -> dict[str, Field]:
    """Return what survives in each column that the group fills; `rules` has a rule of `RULES` for each column, `members` the primary first.

    `chosen` holds columns and the rows whose values a person wants; the latest comes last.
    """
    fields: dict[str, Field] = {}
    for unit in units(tuple(columns)):
        for column, (value, rows) in _chosen(members, unit, rules).items():
            if value:
                fields[column.name] = _field(members, column, value, rows, rules[column.name])
    for column in columns:
        if column.role == NEVER and OPT_OUT.search(column.name):
            said = [member for member in members if member.values.get(column.name, "").strip().casefold() in YES]
            if said:  # who opted out anywhere has opted out
                fields[column.name] = Field(said[0].values[column.name], [said[0].row], "any yes", [], False)
    by_name, by_row = {column.name: column for column in columns}, {member.row: member for member in members}
    for name, row in chosen:
        if name in by_name and row in by_row and (value := by_row[row].values.get(name)):
            fields[name] = _field(members, by_name[name], value, [row], CHOSEN)
    return {column.name: fields[column.name] for column in columns if column.name in fields}


@lru_cache
def units(columns: tuple[Column, ...]) -> list[list[Column]]:
    """Return the columns that may survive, in the parts that do so together: one address, the name, or a single column."""
    found: dict[object, list[Column]] = {}
    for column in columns:
        if column.role not in (EVIDENCE, CONSTANT):
            continue
        kind = next((name for name, concepts in UNITS.items() if column.concept in concepts), None)
        if column.concept is None and _STATE.search(column.name):
            kind = "address"
        if kind == "address":
            before = _PART.split(column.name, maxsplit=1)[0]
            key = (kind, re.sub(r"[\W_]+", " ", before).strip().casefold())
        else:
            key = kind or column.name
        found.setdefault(key, []).append(column)
    return list(found.values())


def rules_of(columns: Sequence[Column], table: Mapping[str, str]) -> dict[str, str]:
    """Return the rule of each column: `ALL` where a cell holds several values, else that of its name, its concept or `DEFAULT` in a table."""
    named = {key.casefold(): rule for key, rule in table.items()}

    def rule(column: Column) -> str:
        return named.get(column.name.casefold()) or table.get(column.concept or "") or table.get(DEFAULT) or PRIMARY

    return {column.name: ALL if column.separator else rule(column) for column in columns}


def _chosen(members: Sequence[Member], unit: Sequence[Column], rules: Mapping[str, str]) -> dict[Column, tuple[str, list[int]]]:
    if len(unit) == 1:
        column = unit[0]
        if rules[column.name] == ALL:
            return {column: _all(members, column)}
        best = next((member for member in _ranked(members, column.name, rules[column.name]) if member.said(column.name)), members[0])
        return {column: (best.values.get(column.name, ""), [best.row])}
    ranked = _ranked(members, unit[0].name, rules[unit[0].name])
    weights = {member.row: sum(_weight(member.said(column.name)) for column in unit) for member in members}
    best = next(member for member in ranked if 2 * weights[member.row] >= max(weights.values()))
    chosen = {column: (best.values.get(column.name, ""), [best.row]) for column in unit}
    for member in ranked:  # what is blank comes from a record that says the same otherwise
        if all(_agree(column, chosen[column][0], member.said(column.name)) for column in unit):
            more = {column: (member.said(column.name), [member.row]) for column in unit if not chosen[column][0] and member.said(column.name)}
            chosen |= more
    return chosen


def _ranked(members: Sequence[Member], column: str, rule: str) -> list[Member]:
    """Return the members in the order in which a rule prefers them; of equal ones the earlier one is first."""
    counts = Counter(plain(member.said(column)) for member in members) if rule == MOST_FREQUENT else {}
    keys = {
        MOST_COMPLETE: lambda member: -member.filled,
        OLDEST: lambda member: member.created or "~",
        LONGEST: lambda member: -len(member.said(column)),
        MOST_FREQUENT: lambda member: -counts[plain(member.said(column))],
    }
    if rule == LAST_CHANGED:
        return sorted(members, key=lambda member: member.changed or "", reverse=True)
    return sorted(members, key=keys[rule]) if rule in keys else list(members)


def _all(members: Sequence[Member], column: Column) -> tuple[str, list[int]]:
    """Return every value of a cell with several, once, in the order of the members."""
    found: list[tuple[str, int]] = []
    separator = column.separator or ";"
    for member in members:
        for part in map(str.strip, member.said(column.name).split(separator)):
            if part and not any(_same(column, part, other) for other, _ in found):
                found.append((part, member.row))
    return separator.join(part for part, _ in found), list(dict.fromkeys(row for _, row in found))


def _field(members: Sequence[Member], column: Column, value: str, rows: list[int], rule: str) -> Field:
    if rule == ALL:
        return Field(value, rows, rule, [], False)
    own = members[0].said(column.name)
    if rule not in (LONGEST, CHOSEN) and own and own != value and _same(column, own, value):
        value, rows = own, [members[0].row]  # nothing is to be changed for another way to write the same
    lost = [(member.row, other) for member in members if (other := member.said(column.name)) and other != value]
    return Field(value, rows, rule, lost, any(not _same(column, value, other) and not _within(other, value) for _, other in lost))


def _same(column: Column, a: str, b: str) -> bool:
    return plain(a) == plain(b) or (column.concept in CONCEPTS and relation(column.concept, a, b) == SAME)


def _within(part: str, whole: str) -> bool:
    """Tell whether a value says no word that the other does not say."""
    return set(re.findall(r"\w+", part.casefold())) <= set(re.findall(r"\w+", whole.casefold()))


def _agree(column: Column, a: str, b: str) -> bool:
    if not a or not b or plain(a) == plain(b):
        return True
    return column.concept in CONCEPTS and relation(column.concept, a, b) != DIFFERS


def _weight(value: str) -> float:
    """Return how much a cell says: an initial says half."""
    return 0.0 if not value else 0.5 if sum(map(str.isalnum, value)) == 1 else 1.0
