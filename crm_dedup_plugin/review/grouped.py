"""The groups of a run under review, and what the plan would do with each as the answers are now."""

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.grouping import tables
from crm_dedup_plugin.matching.grouping.decided import DUPLICATE
from crm_dedup_plugin.matching.plan import check
from crm_dedup_plugin.matching.plan.groups import Groups
from crm_dedup_plugin.matching.plan.members import Member
from crm_dedup_plugin.matching.plan.merges import Merge, planned
from crm_dedup_plugin.matching.plan.survivors import CHOSEN
from crm_dedup_plugin.matching.records import EMPTY, ID
from crm_dedup_plugin.reporting.match_fields import aligned, compared
from crm_dedup_plugin.reporting.templates import printable
from crm_dedup_plugin.review import side_by_side
from crm_dedup_plugin.review.lists import MOST
from crm_dedup_plugin.review.shapes import Cell, Choice, Group, GroupItem, Link, Page, Plan, PlanField
from crm_dedup_plugin.review.state import State

ALL, ANSWERED, CONFLICTS, WEAK = FILTERS = ("all", "answered", "conflicts", "weak")
SHOWN, MEMBERS, FIRST = 300, 200, 6  # letters of a value, members of a group, and rows of a group in a list


class Plans:
    """The merge plan of any group of a run, as the answers are now."""

    def __init__(self, state: State):
        """Take a run whose plan was made: its rules count."""
        self.state, records = state, state.records
        primary = run_folder.report(state.run, "plan").get("primary", "most_complete")
        self.link, self.rules = run_folder.report(state.run, "read")["link"], check(state.run, primary)
        self.groups = Groups(state.run, records, primary)
        self._known: dict[tuple, int] = {}

    def members(self, rows: list[int]) -> list[Member]:
        """Return the records of a group, the one that stays first."""
        self.groups.chosen = {row: at for at, row in enumerate(self.state.found.primaries)}
        return self.groups.members(rows)

    def merge(self, members: list[Member]) -> Merge | None:
        """Return what the plan does with a group; None where there is nothing to merge."""
        if self.link or len(members) < 2:
            return None
        return planned(self.state.records.sources[0], members, self.rules[0], self.state.found.values)

    def conflicts(self, rows: list[int]) -> int:
        """Return in how many fields of a group a value would be lost."""
        chosen = [one for one in self.state.found.values if one[1] in rows]
        key = (*rows, *chosen, *(row for row in self.state.found.primaries if row in rows))
        if key not in self._known:
            merge = self.merge(self.members(rows))
            self._known[key] = sum(field.conflict for field in merge.fields.values()) if merge else 0
        return self._known[key]


def page(plans: Plans, wanted: str, search: str, offset: int, limit: int) -> Page:
    """Return a part of the list of a filter; raises UserError where there is no such filter."""
    state = plans.state
    if wanted not in FILTERS:
        raise UserError(f"the filter {wanted!r} is unknown: use one of {', '.join(FILTERS)}")
    sizes, search, offset = state.sizes(), search.casefold().strip(), max(offset, 0)
    names = np.flatnonzero(sizes > 1)
    names = names[np.argsort(-sizes[names], kind="stable")]
    if wanted == WEAK:
        names = names[np.argsort(_weakest(state)[names], kind="stable")]
    by_group = np.argsort(state.groups, kind="stable")
    starts = np.searchsorted(state.groups[by_group], names)
    found = [(int(name), np.sort(by_group[start : start + sizes[name]]).tolist()) for name, start in zip(names, starts, strict=True)]
    answered = _answered(state)
    if wanted == ANSWERED:
        found = [one for one in found if one[0] in answered]
    if search:
        found = [one for one in found if side_by_side.says(state, one[1], search)]
    if wanted == CONFLICTS:
        found = [one for one in found if plans.conflicts(one[1])]
    shown = found[offset : offset + min(max(limit, 0), MOST)]
    items = [
        GroupItem(name, len(rows), side_by_side.brief(state, rows[0]), rows[:FIRST], name in answered, plans.conflicts(rows)) for name, rows in shown
    ]
    return Page(len(found), offset, items)


def group(plans: Plans, row: int) -> Group:
    """Return the group of a row."""
    state = plans.state
    members = plans.members(state.members(row))
    rows = [member.row for member in members][:MEMBERS]
    columns, cells = _table(state, rows)
    merge = plans.merge(members)
    heads = [side_by_side.head(state, one) for one in rows]
    return Group(int(state.groups[row]), len(members), heads, columns, cells, _links(state, row), _plan(state, merge) if merge else None)


def _plan(state: State, merge: Merge) -> Plan:
    fields = [
        PlanField(
            printable(name, SHOWN),
            printable(field.value, SHOWN),
            field.rows,
            field.rule,
            name in merge.changed,
            field.conflict,
            field.rule == CHOSEN,
            [Choice(one.row, printable(one.values[name], SHOWN)) for one in merge.members[:MEMBERS] if name in one.values],
        )
        for name, field in merge.fields.items()
    ]
    primary = merge.members[0].row
    return Plan(merge.crm, primary, primary in state.found.primaries, fields, merge.steps, merge.left_over, merge.by_hand, merge.values.by_hand)


def _table(state: State, rows: list[int]) -> tuple[list[str], list[list[Cell]]]:
    """Return the columns of some records, and the cells of each."""
    sources = state.records.sources
    keys, keyed = aligned([side_by_side.record(state, row) for row in rows], sources, "values")
    without = {column.name for source in sources for column in source.columns if column.role in (ID, EMPTY)}
    names = {key: name for one in reversed(keyed) for key, (name, _) in one.items()}
    keys = [key for key in keys if names[key] not in without]
    cells = [[Cell(*cell) for cell in row] for row in compared(keys, keyed, SHOWN)]
    return [printable(names[key], side_by_side.NAME) for key in keys], cells


def _links(state: State, row: int) -> list[Link]:
    """Return the pairs that hold the group of a row together or keep others from it."""
    part, name = state.local.around([row], state.reviewed), state.groups[row]
    table = tables.edges(part.resolved, part.decided, part.reviewed)
    a, b = (part.rows[table[side].to_numpy()] for side in ("a", "b"))
    rest = zip(a.tolist(), b.tolist(), *(table[column].to_pylist() for column in ("kind", "by", "duplicate")), strict=True)
    own = (state.groups[a] == name) | (state.groups[b] == name)
    return [Link(*one[:4], None if one[4] is None else round(one[4], 6)) for one, mine in zip(rest, own.tolist(), strict=True) if mine]


def _weakest(state: State) -> np.ndarray:
    """Return (rows,) the least probability of DUPLICATE of any pair inside each group, under the group's smallest row."""
    found, decided = np.full(state.size, np.inf), state.material.decided
    inside = state.together(state.pairs)
    np.minimum.at(found, state.groups[state.pairs[inside, 0]], decided.probabilities[inside, DUPLICATE])
    return found


def _answered(state: State) -> set[int]:
    """Return the groups in which a person had a say."""
    rows = {row for pair in state.reviewed.pairs.tolist() for row in pair} | {*state.found.primaries} | {row for _, row in state.found.values}
    return {int(state.groups[row]) for row in rows}
