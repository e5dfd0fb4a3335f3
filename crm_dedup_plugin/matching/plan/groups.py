"""The groups of a run that have several records, and their members in order of precedence."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.grouping.stage import order_of
from crm_dedup_plugin.matching.plan.members import Member, in_order, telling
from crm_dedup_plugin.matching.records import CONSTANT, EVIDENCE, Records


class Groups:
    """Groups of two records and more, in the order of their first rows. Iterate for the members of each, the one that stays first."""

    def __init__(self, run: Path, records: Records, primary: str, chosen: Sequence[int] = ()):
        """Read the groups. `primary` is a rule for the record that stays; `chosen` holds rows that a person wants to stay, the latest last."""
        import pyarrow.parquet

        self.records, self.primary = records, primary
        self.chosen = {row: at for at, row in enumerate(chosen)}
        self._counted = {column.name for source in records.sources for column in source.columns if column.role in (EVIDENCE, CONSTANT)}
        self._id_columns = [source.column_of_ids for source in records.sources]
        table = pyarrow.parquet.read_table(run_folder.folder(run, "group") / "groups.parquet").sort_by("row")
        of = table["group"].to_numpy()
        rows = np.argsort(of, kind="stable")
        starts = np.flatnonzero(np.diff(of[rows], prepend=-1))
        self.rows = [part for part in np.split(rows, starts[1:]) if len(part) > 1]
        self.size = len(of)

    def __iter__(self) -> Iterator[list[Member]]:
        for rows in self.rows:
            yield self.members(rows.tolist())

    def members(self, rows: Sequence[int]) -> list[Member]:
        """Return the records of a group, the one that stays first."""
        return in_order([self._member(row) for row in rows], self.primary, self.chosen)

    def _member(self, row: int) -> Member:
        values = self.records.values(row)
        told = telling(values)
        filled = sum(name in self._counted for name in told)
        created, changed, lines = self._notes
        has_id = self._id_columns[self.records.source_of[row]] in values
        return Member(row, self.records.ids[row], lines[row], created[row], changed[row], values, told, filled, int(self._ranks[row]), has_id)

    @cached_property
    def _notes(self) -> tuple[list, list, list]:
        table = self.records.table("created", "changed", "line")
        return table["created"].to_pylist(), table["changed"].to_pylist(), table["line"].to_pylist()

    @cached_property
    def _ranks(self) -> np.ndarray:
        return order_of(self.records)
