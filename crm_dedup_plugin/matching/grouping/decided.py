"""What is known of the pairs of a run, as arrays: what the model said before, what it is asked later, and what a person answered."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.deciding import decisions
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.pair.answer import LABELS

Ask = Callable[[list[tuple[int, int]]], list[tuple[float, float, float]]]
Answer = tuple[int, int, bool]  # two rows; True: the same entity
DUPLICATE, POSSIBLE, NO_MATCH = range(len(LABELS))


class Decided(NamedTuple):
    """Pairs of rows and what the model says of them."""

    pairs: np.ndarray  # (n, 2) int64, the smaller row first
    probabilities: np.ndarray  # (n, 3) float32, calibrated, in the order of `LABELS`
    labels: np.ndarray  # (n,) int8, an index of `LABELS`

    @classmethod
    def of(cls, run: Path) -> Self:
        """Return what the stage "decide" of a run found."""
        import pyarrow as pa
        import pyarrow.compute as pc

        run_folder.report(run, "decide")
        table = decisions(run)
        pairs = np.stack([table[side].to_numpy() for side in ("a", "b")], axis=1)
        probabilities = np.stack([table[label.lower()].to_numpy() for label in LABELS], axis=1).astype(np.float32)
        labels = pc.index_in(table["decision"], value_set=pa.array(LABELS)).to_numpy().astype(np.int8)
        return cls(pairs, probabilities, labels)

    @classmethod
    def from_answers(cls, pairs: Sequence[tuple[int, int]], rows: Sequence[Sequence[float]], calibration: Calibration) -> Self:
        """Return pairs with calibrated probabilities, and the decisions that follow from them."""
        probabilities = np.array(rows, np.float32).reshape(-1, len(LABELS))
        return cls(np.array(pairs, np.int64).reshape(-1, 2), probabilities, calibration.labels(probabilities).astype(np.int8))

    def with_more(self, other: Self) -> Self:
        """Return these pairs and others behind them."""
        return type(self)(*map(np.concatenate, zip(self, other, strict=True)))


class Reviewed(NamedTuple):
    """The answers of people. Of two answers about one pair the later one counts."""

    yes: np.ndarray  # (n, 2) pairs of rows, the smaller one first; the latest answer first
    no: np.ndarray  # (m, 2)
    changed: int  # answers that a later one replaced

    @classmethod
    def of(cls, answers: Sequence[Answer], rows: int) -> Self:
        """Return answers in order of time; raises UserError where one is about no two rows of the run."""
        last: dict[tuple[int, int], bool] = {}
        for a, b, same in answers:
            if a == b or not (0 <= a < rows and 0 <= b < rows):
                raise UserError(f"an answer is about rows {a} and {b}: a pair is two different rows from 0 to {rows - 1:,}")
            pair = (min(a, b), max(a, b))
            last.pop(pair, None)
            last[pair] = bool(same)
        latest = list(last.items())[::-1]
        yes, no = ([pair for pair, same in latest if same is wanted] for wanted in (True, False))
        return cls(_array(yes), _array(no), len(answers) - len(last))

    @property
    def pairs(self) -> np.ndarray:
        """Return all pairs that were answered."""
        return np.concatenate([self.yes, self.no])


def _array(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)
