"""The answers of a run that a model can learn from: those that say same or different, about records that have not changed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import devices
from crm_dedup_plugin.learning.folds import entities, folds
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.answers import UNSURE, Answers
from crm_dedup_plugin.matching.progress import many
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.pair.record import Record

LEAST = 20  # answers that a calibration needs: ten make it worse
ENOUGH = 50  # answers from which on a tuning pays
EACH = 5  # of both outcomes, which a tuning needs: from one outcome alone it learns to say that


class Answered(NamedTuple):
    """Pairs of one run with what a person said about them."""

    rows: np.ndarray  # (n, 2), the smaller row first
    y: np.ndarray  # (n,) True: the same entity
    pairs: list[tuple[Record, Record]]  # what a model reads
    entity: np.ndarray  # (n,) pairs with the same number are connected
    fold: np.ndarray  # (n,) the part in which a pair is held out
    unsure: int  # answers that force neither outcome
    changed: int  # answers about records that have changed since

    @classmethod
    def of(cls, run: Path, seed: int = 7) -> Self:
        """Return the answers of a run; raises UserError where there are not enough to learn from."""
        import pyarrow.parquet

        run_folder.report(run, "group")
        records = Records(run)
        found = Answers.of(run, records)
        last = {(a, b): same for a, b, same in found.same_or_not}
        rows, y = np.array(list(last), int).reshape(-1, 2), np.array(list(last.values()), bool)
        unsure = sum(answer == UNSURE for answer, _ in found.latest.values())
        _require(run, int(y.sum()), int((~y).sum()), found.changed)
        groups = pyarrow.parquet.read_table(run_folder.folder(run, "group") / "groups.parquet", columns=["row", "group"]).sort_by("row")["group"]
        entity = entities(rows, groups.to_numpy())
        pairs = list(records.pairs(rows.tolist()))
        return cls(rows, y, pairs, entity, folds(entity, y, seed), unsure, found.changed)

    @property
    def labelled(self) -> list[tuple[Record, Record, bool]]:
        """Return what `tuning.tune` takes."""
        return [(a, b, bool(same)) for (a, b), same in zip(self.pairs, self.y, strict=True)]

    def can_tune(self, wanted: bool | None) -> bool:
        """Tell whether the model is tuned: with a GPU and enough answers, or as `wanted`; raises UserError where it cannot be."""
        fewest = int(min(self.y.sum(), (~self.y).sum()))
        if wanted and fewest < EACH:
            rarer = "same" if self.y.sum() == fewest else "different"
            raise UserError(f"--tune needs {EACH} answers of each kind, and {fewest} say {rarer}: answer more, or leave --tune out")
        return fewest >= EACH and (len(self.y) >= ENOUGH and bool(devices.visible_gpus()) if wanted is None else wanted)


def _require(run: Path, same: int, different: int, changed: int) -> None:
    """Raise UserError where answers are too few, with how many are missing."""
    review = f"`crm-dedup review {run_folder.word(run)}` asks for more"
    lost = f" ({many(changed, 'more answer')} {'is' if changed == 1 else 'are'} about records that have changed since)" if changed else ""
    if not same + different:
        raise UserError(f"{run} holds no answer that says same or different{lost}: {review}")
    if (missing := LEAST - same - different) > 0:
        are = "is" if missing == 1 else "are"
        raise UserError(f"{many(same + different, 'answer')}{lost}, and {LEAST} are the least to learn from: {missing} more {are} needed. {review}")
    if not same or not different:
        said, other = ("same", "different") if same else ("different", "same")
        raise UserError(f"all {same + different} answers{lost} say {said}: at least one must say {other}. {review}")
