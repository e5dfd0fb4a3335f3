"""The model that a learning starts from, and what of its work is at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from crm_dedup_plugin.inference import models
from crm_dedup_plugin.learning import result
from crm_dedup_plugin.learning.calibrate import Prior
from crm_dedup_plugin.learning.tuning import score
from crm_dedup_plugin.matching import deciding, run_folder
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.record import Record
from crm_dedup_plugin.provenance import model_digest


class Start(NamedTuple):
    """The general model of a run: the one that decided it, or that the one which decided it had learned from."""

    name: str
    model: str  # a folder
    sha256: str
    calibration: Calibration  # with the threshold of the run's merges
    decided: bool  # it is what decided the run

    @classmethod
    def of(cls, run: Path) -> Self:
        """Return where a learning about this run starts: never from what its own answers taught."""
        told, learned = run_folder.report(run, "decide"), result.of(run)
        name = learned["from"] if learned and told["model"] == learned["model"] else told["model"]
        model = _folder(models.resolve(name))
        sha256 = model_digest(model)
        key = json.loads((run_folder.folder(run, "decide") / run_folder.KEY).read_text(encoding="utf-8"))
        decided = key["stage"].get("model_sha256") == sha256
        if decided and told["model"] == name:
            return cls(name, model, sha256, deciding.calibration(run), decided)
        calibration = deciding.of_list(run, Records(run), deciding.before_answers(run, model, Calibration.of(model)))
        threshold = told["threshold"] if told["model"] == name else deciding.merges_from(calibration)
        return cls(name, model, sha256, calibration._replace(threshold=threshold), decided)

    @property
    def prior(self) -> Prior:
        """Return what is expected of a calibration before any answer."""
        if self.calibration.slope is not None:
            return Prior(self.calibration.slope, self.calibration.bias, self.calibration.weights)
        return Prior(1 / self.calibration.temperature)

    def raw(self, run: Path, rows: np.ndarray, pairs: Sequence[tuple[Record, Record]], say: Callable[[int], None]) -> np.ndarray:
        """Return what the model says (n, 3) of pairs of rows (n, 2): what it said before, or else what it says now."""
        told, chances = (each.tolist() for each in candidates(run)) if self.decided else ((), ())
        known = dict(zip(map(tuple, told), chances, strict=True))
        found = [known.get((a, b)) or known.get((b, a)) for a, b in rows.tolist()]
        asked = [at for at, one in enumerate(found) if one is None]
        if asked:
            new = score(self.model, [pairs[at] for at in asked], say)
            for at, one in zip(asked, new.tolist(), strict=True):
                found[at] = one
        return np.array(found, float).reshape(-1, len(LABELS))


def candidates(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return all candidates (n, 2) and what the model that decided the run said of them (n, 3)."""
    rows, chances = deciding.arrays(run)
    return rows, chances.astype(float)


def _folder(model: str) -> str:
    """Return the folder of a model; of one on the Hub its copy on this machine, which has decided the run."""
    if Path(model).is_dir():
        return model
    from huggingface_hub import snapshot_download

    return snapshot_download(model, local_files_only=True)
