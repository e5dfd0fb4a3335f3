"""Records side by side, as the report of a match shows them: which fields agree, and how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.records import Source
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.reporting.match_fields import aligned, compared, how, place, words
from crm_dedup_plugin.reporting.templates import printable

FIELDS, COLUMNS, LONGEST, CELL = 12, 9, 160, 60
DUPLICATE, ABSENT = LABELS[0], ""


class Field(NamedTuple):
    """A field of two records; "" stands for a blank."""

    name: str
    a: str
    b: str
    how: str  # a key of `match_fields.HOW`


class Pair(NamedTuple):
    """Two records side by side, and what was decided about them."""

    decision: str
    probability: float  # of that decision
    duplicate: float
    why: str  # why it waits for a person; "" where it does not
    reasoning: str  # "" where none was asked for
    records: list[list[str]]  # a few words by which a person knows A and B again
    places: list[str]  # where they stand
    fields: list[Field]
    more: int  # fields that are not shown


class Conflict(NamedTuple):
    """A field in which the records of a group hold different values."""

    field: str
    kept: str
    lost: list[str]
    record: str  # the id of the one that stays


class Group(NamedTuple):
    """Some records of a group: one row each, `cells` by column, each with whether it differs from what most of the group say."""

    size: int
    holds: int
    weakest: float | None
    agree: int
    cut: int
    columns: list[str]
    rows: list[tuple[str, list[tuple[str, bool]]]]  # what the record is called, and its cells


def pair(found: dict, records: dict[int, dict], sources: Sequence[Source], threshold: float | None) -> Pair:
    """Return a row of pairs or of the review with its two records side by side; fields whose meaning is known come first."""
    both = [records[found["a"]], records[found["b"]]]
    keys, (left, right) = aligned(both, sources)
    fields = []
    for key in keys:
        (name_a, a), (name_b, b) = left.get(key, ("", ABSENT)), right.get(key, ("", ABSENT))
        names = list(dict.fromkeys(printable(name, 60) for name in (name_a, name_b) if name))
        fields.append((key[0], Field(" / ".join(names), printable(a), printable(b), how(key, a, b))))
    fields.sort(key=lambda item: item[0] is None)
    shown = [one for _, one in fields[:FIELDS]]
    probability, duplicate = found[found["decision"].lower()], found["duplicate"]
    why = found.get("why") or ("below the threshold" if found["decision"] == DUPLICATE and duplicate < (threshold or 0) else "")
    titles, places = [words(one, sources) for one in both], [place(one, sources) for one in both]
    reasoning = printable(found.get("reasoning") or "", 300)
    return Pair(found["decision"], probability, duplicate, why, reasoning, titles, places, shown, len(fields) - len(shown))


def group(found: dict, records: dict[int, dict], sources: Sequence[Source]) -> Group:
    """Return a row of `match_tables.groups` with its records."""
    members = [records[row] for row in found["rows"]]
    keys, keyed = aligned(members, sources)
    names = {key: name for one in reversed(keyed) for key, (name, _) in one.items()}
    telling = sorted(keys, key=lambda key: (not key[0], sum(key not in one for one in keyed)))[:COLUMNS]
    keys = [key for key in keys if key in telling]
    rows = list(zip([place(one, sources) for one in members], compared(keys, keyed, CELL), strict=True))
    columns = [printable(names[key], 60) for key in keys]
    return Group(found["size"], found["holds"] or 0, found["weakest"], found["agree"] or 0, found["cut"] or 0, columns, rows)


def conflicts(run: Path, count: int, of_group: int = 2) -> list[Conflict]:
    """Return the first `count` conflicts of a plan, at most `of_group` of each group."""
    found: list[Conflict] = []
    with (run_folder.folder(run, "plan") / "merge_plan.jsonl").open(encoding="utf-8", errors="surrogatepass") as lines:
        for merge in map(json.loads, lines):
            clashing = [(name, field) for name, field in merge["fields"].items() if field["conflict"]]
            for name, field in clashing[:of_group]:
                lost = list(dict.fromkeys(printable(other["value"], CELL) for other in field["lost"]))
                found.append(Conflict(printable(name, 60), printable(field["value"], CELL), lost, printable(merge["primary"]["id"], 40)))
            if len(found) >= count:
                break
    return found[:count]
