"""What a review is about: the records and decisions of a run whose plan is made."""

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from crm_dedup_plugin.matching import deciding, run_folder
from crm_dedup_plugin.matching.candidates.stage import FILE as CANDIDATES
from crm_dedup_plugin.matching.grouping.decided import Decided
from crm_dedup_plugin.matching.grouping.missing import keys
from crm_dedup_plugin.matching.grouping.stage import order_of
from crm_dedup_plugin.matching.records import Records

UNKNOWN = -1  # the label of a pair about which no model was asked


class Material(NamedTuple):
    """Records, and pairs with what a model said of them."""

    records: Records
    decided: Decided  # the candidates; a label may be `UNKNOWN`
    inside: Decided  # pairs inside groups that were asked later
    threshold: float  # from which probability on a pair is merged without a person
    order: np.ndarray  # (rows,) ranks that break ties
    kinds: np.ndarray  # (candidates,) the number of the rules that found each
    reasons: dict[tuple[int, int], str]  # the model's reasonings, by rows

    @classmethod
    def of(cls, run: Path) -> Self:
        """Return what a run holds; raises UserError where its plan is not made."""
        threshold = {stage: run_folder.report(run, stage) for stage in run_folder.STAGES[:-1]}["decide"]["threshold"]
        records, decided = Records(run), Decided.of(run)
        told = {pair: one["reasoning"] or "" for pair, one in deciding.reasons(run).items()}
        return cls(records, decided, _inside(run, records), threshold, order_of(records), _kinds(run, decided, len(records.ids)), told)


def _inside(run: Path, records: Records) -> Decided:
    found, calibration = deciding.inside(run), deciding.calibration(run)
    rows = calibration.apply(list(found.values()), calibration.evidence(records.pairs(found)))
    return Decided.from_answers(list(found), rows, calibration)


def _kinds(run: Path, decided: Decided, size: int) -> np.ndarray:
    """Return which rules found each candidate, as a number that stands for their names."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(run_folder.folder(run, "candidates") / CANDIDATES)
    codes = keys(np.stack([table[side].to_numpy() for side in ("a", "b")], axis=1), size)
    rules = table["rules"].combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.argsort(codes)
    return rules[order][np.searchsorted(codes[order], keys(decided.pairs, size))]
