"""What a person answered about pairs of a run."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from crm_dedup_plugin.errors import UserError

Answer = tuple[int, int, bool]  # two rows; True: the same entity


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
