"""A run under review: which pair to ask about, what people answer, and what follows from it at once."""

from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.answers import DIFFERENT, PRIMARY, SAME, VALUE
from crm_dedup_plugin.matching.sampling import GROUP
from crm_dedup_plugin.reporting.templates import printable
from crm_dedup_plugin.review import grouped
from crm_dedup_plugin.review.questions import Questions, alone
from crm_dedup_plugin.review.shapes import Change, Group, Page
from crm_dedup_plugin.review.state import Material


class Board(Questions):
    """A run whose plan is made, for people to answer. Raises UserError where it is not made, or where rows, words or filters are wrong."""

    has_groups, _plans = True, None

    def __init__(self, run: Path, seed: int = 0):
        self._open(run, Material.of(run), seed)
        self._plans = grouped.Plans(self._state)
        self._merges = not self._plans.link

    @alone
    def groups(self, filter: str = grouped.ALL, search: str = "", offset: int = 0, limit: int = 50) -> Page:
        """Return a part of a list of groups: one of `grouped.FILTERS`, and of these the ones that hold a text."""
        return grouped.page(self._with_groups(), filter, search, offset, limit)

    @alone
    def group(self, row: int) -> Group:
        """Return the group of a row, with what the plan does with it."""
        return grouped.group(self._with_groups(), self._row(row))

    @alone
    def leave_out(self, row: int) -> Change:
        """Say that a record is of another entity than all others of its group."""
        others = [one for one in self._members(row) if one != row]
        return self.answer([(row, one) for one in others], DIFFERENT, drawn=GROUP)

    @alone
    def split(self, rows: Sequence[int], others: Sequence[int]) -> Change:
        """Say that each of some records is of another entity than each of the others."""
        return self.answer([(row, other) for row in rows for other in others], DIFFERENT, drawn=GROUP)

    @alone
    def join(self, a: int, b: int) -> Change:
        """Say that two records are of one entity, and so their groups: whatever kept these apart is answered anew."""
        (a, b), of = self._pair((a, b)), self._state.groups
        sides = {int(of[a]), int(of[b])}
        apart = [(one, other) for one, other in self._state.reviewed.no.tolist() if {int(of[one]), int(of[other])} == sides]
        return self.answer([(a, b), *(pair for pair in apart if {*pair} != {a, b})], SAME, drawn=GROUP)

    @alone
    def primary(self, row: int) -> Change:
        """Say that a record stays in whatever group it is."""
        self._members(row)
        return self._keep({"kind": PRIMARY, "record": self._reference(row)})

    @alone
    def value(self, row: int, field: str) -> Change:
        """Say that a field of a group gets the value of this record."""
        self._members(row)
        column = next((name for name in self._state.records.values(row) if field in (name, printable(name, grouped.SHOWN))), None)
        if column is None:
            raise UserError(f"the record of row {row} has no value in {field!r}: name a field that it fills")
        return self._keep({"kind": VALUE, "field": column, "record": self._reference(row)})

    def _members(self, row: int) -> list[int]:
        found = self._state.members(self._row(row))
        if len(found) < 2:
            raise UserError(f"the record of row {row} is in no group: choose one that is")
        return found

    def _with_groups(self) -> grouped.Plans:
        if self._plans is None:
            raise UserError("a file of pairs has no groups: review a run of `crm-dedup match` to see groups")
        return self._plans
