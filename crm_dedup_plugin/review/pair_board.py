"""A file of pairs under review: the same questions and answers as of a run, without groups."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.deciding import SURE
from crm_dedup_plugin.matching.grouping.decided import Decided
from crm_dedup_plugin.matching.records import EVIDENCE, Column, Source
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import Pair, read_objects, read_pairs
from crm_dedup_plugin.pair.record import Record
from crm_dedup_plugin.policy.fields import concept_of
from crm_dedup_plugin.review.board import Board
from crm_dedup_plugin.review.state import UNKNOWN, Material

if TYPE_CHECKING:
    import pyarrow


class PairBoard(Board):
    """A file of pairs for people to answer. Record A of pair i, counted from 0, is row 2 i, and record B row 2 i + 1."""

    has_groups = False

    def __init__(self, file: Path, run: Path, decisions: Path | None = None, seed: int = 0):
        """Keep the answers in the folder `run`; `decisions` is what ``crm-dedup decide`` wrote about the file. Raises UserError."""
        pairs = read_pairs(file)
        run_folder.make(run)
        decided, reasons = _decided(pairs, decisions)
        none = Decided(np.empty((0, 2), np.int64), np.empty((0, 3), np.float32), np.empty(0, np.int8))
        order, kinds = np.arange(2 * len(pairs)), np.zeros(len(pairs), np.int64)
        self._open(run, Material(PairRecords(file, pairs), decided, none, SURE, order, kinds, reasons), seed)


class PairRecords:
    """The records of a file of pairs, as a board reads the `Records` of a run."""

    def __init__(self, file: Path, pairs: list[Pair]):
        counts = Counter(pair.name for pair in pairs)
        schemas: dict[tuple[str, ...], int] = {}
        self._records: list[Record] = [record for pair in pairs for record in pair.records]
        self._lines = [pair.line for pair in pairs for _ in pair.records]
        names = [pair.id if pair.id and counts[pair.name] == 1 else f"{pair.line}" for pair in pairs]
        self.ids = [f"{name}/{side}" for name in names for side in "ab"]
        self.source_of = [schemas.setdefault(tuple(record), len(schemas)) for record in self._records]
        self.sources = [Source(file.name, "", "", "contact", [Column(name, EVIDENCE, concept_of(name), None) for name in one]) for one in schemas]

    def evidence(self, row: int) -> Record:
        """Return a record."""
        return self._records[row]

    values = evidence

    def table(self, *columns: str) -> "pyarrow.Table":
        """Return the lines of all records, the only column that there is."""
        import pyarrow as pa

        return pa.table({"line": self._lines}).select(list(columns))


def _decided(pairs: list[Pair], decisions: Path | None) -> tuple[Decided, dict[tuple[int, int], str]]:
    """Return the pairs with what a model decided about each, as far as it is known, and its reasonings."""
    rows = np.arange(2 * len(pairs)).reshape(-1, 2)
    probabilities, labels = np.zeros((len(pairs), len(LABELS)), np.float32), np.full(len(pairs), UNKNOWN, np.int8)
    place, reasons = {pair.line: at for at, pair in enumerate(pairs)}, {}
    for number, one in enumerate(read_objects(decisions) if decisions else (), start=1):
        if "error" in one:  # of a line that could not be used
            continue
        try:
            at = place[one["line"]]
            labels[at], probabilities[at] = LABELS.index(one["decision"]), [one["probabilities"][label] for label in LABELS]
        except (KeyError, ValueError, TypeError):
            raise UserError(f"{decisions}, decision {number}: is about no line of the pairs: run `crm-dedup decide` on the same file") from None
        if one.get("reasoning"):
            reasons[2 * at, 2 * at + 1] = str(one["reasoning"])
    return Decided(rows, probabilities, labels), reasons
