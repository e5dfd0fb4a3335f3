"""The records of a group, in the order in which they take precedence: the first one stays."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.policy.fields import is_placeholder

MOST_COMPLETE, OLDEST, LAST_CHANGED, COLUMN = "most_complete", "oldest", "last_changed", "column:"
YES = frozenset("yes y true 1 x ja oui si sí wahr vrai".split())
NO = frozenset(("", *"no n false 0 nein non falsch faux".split()))


class Member(NamedTuple):
    """A record of a group."""

    row: int
    id: str
    line: int
    created: str | None
    changed: str | None
    values: dict[str, str]  # all cells that are not blank, exact, by column
    told: dict[str, str]  # those that do not only fill a mandatory field
    filled: int  # how many of these are evidence
    rank: int  # breaks ties, independent of the order of rows
    has_id: bool = True  # in its file; otherwise the id is made up, and no CRM knows it

    def said(self, column: str) -> str:
        """Return the value in a column, or "" where it only fills a mandatory field."""
        return self.told.get(column, "")


def telling(values: dict[str, str]) -> dict[str, str]:
    """Return the cells that do not only fill a mandatory field."""
    return {column: value for column, value in values.items() if not is_placeholder(value)}


def in_order(members: Sequence[Member], primary: str, chosen: Mapping[int, int] | None = None) -> list[Member]:
    """Return the members by a rule of `checked`, the record that stays first; those without an id of their own come last.

    `chosen` gives rows that a person wants to stay, and how late: the latest comes before any rule.
    """
    key, chosen = _key(primary), chosen or {}
    return sorted(members, key=lambda member: (not member.has_id, -chosen.get(member.row, -1), key(member)))


def checked(primary: str, columns: Sequence[str]) -> str:
    """Return a rule for the record that stays, if there is such a rule and such a column; raises UserError."""
    name = primary.removeprefix(COLUMN)
    if primary in (MOST_COMPLETE, OLDEST, LAST_CHANGED) or (primary.startswith(COLUMN) and name in columns):
        return primary
    if primary.startswith(COLUMN):
        raise UserError(f"primary: no file has a column {name!r}: use one of {', '.join(columns)}")
    raise UserError(f"primary: {primary!r} is unknown: use {MOST_COMPLETE}, {OLDEST}, {LAST_CHANGED} or {COLUMN}NAME")


def _key(primary: str) -> Callable[[Member], tuple]:
    def key(member: Member) -> tuple:
        complete = (-member.filled, _descending(member.changed), member.created or "~", member.rank)
        if primary == OLDEST:
            return (member.created or "~", *complete)
        if primary == LAST_CHANGED:
            return (_descending(member.changed), *complete)
        if primary.startswith(COLUMN):
            return (-_worth(member.values.get(primary.removeprefix(COLUMN), "")), *complete)
        return complete

    return key


def _descending(text: str | None) -> tuple[int, ...]:
    """Return a key that sorts a later date before an earlier one, and no date last."""
    return tuple(-ord(sign) for sign in text) if text else (1,)


def _worth(value: str) -> float:
    """Return how much a cell speaks for its record: a yes most, then a larger number, then any text; a no and a blank cell least."""
    text = value.strip().casefold()
    if text in YES:
        return math.inf
    if text in NO:
        return -math.inf
    number = re.fullmatch(r"-?\d+(?:[.,]\d+)?", text)
    return float(text.replace(",", ".")) if number else 0.0
