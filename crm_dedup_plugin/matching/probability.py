"""Probabilities that mean what they say: a model's own, at the temperature that its evaluation found on the validation split."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.inference.engine import normalised
from crm_dedup_plugin.provenance import model_digest
from crm_dedup_plugin.storage import results_of

ON_HUB = "results/metrics.json"  # where `crm-dedup push` puts it


class Calibration(NamedTuple):
    """The temperature of a model, and the probability of DUPLICATE from which on its merges were right 99 times in 100.

    `known` is False where the model was never calibrated: then the temperature is 1.
    """

    temperature: float = 1.0
    threshold: float | None = None
    known: bool = False

    @classmethod
    def of(cls, model: str) -> Self:
        """Return the calibration of a model folder or of a model on the Hub, as far as its results are at hand."""
        found = _embedded(model) or _measured_here(model) or _published(model)
        return cls(found["temperature"], found["merge_at_99"]["threshold"], True) if found else cls()

    def apply(self, row: Sequence[float]) -> list[float]:
        """Return calibrated probabilities; their order by size stays."""
        return normalised([math.log(max(one, 1e-12)) / self.temperature for one in row])


def _embedded(model: str) -> dict | None:
    same = Path(model).resolve() == (embedded.home() / f"{embedded.NAME}-merged").resolve()
    return _read(embedded.CALIBRATION) if same else None


def _measured_here(model: str) -> dict | None:
    """Return what `crm-dedup kpi` measured of ``outputs/NAME-merged``, if it was this very model."""
    folder = Path(model)
    if not folder.is_dir() or not folder.name.endswith("-merged"):
        return None
    found = _read(results_of(folder.name.removesuffix("-merged")) / "metrics.json") or {}
    return found.get("calibration") if found.get("inputs", {}).get("model_sha256") == model_digest(model) else None


def _published(model: str) -> dict | None:
    """Return what was published with a model, in its folder or on the Hub."""
    if Path(model).is_dir():
        return (_read(Path(model) / ON_HUB) or {}).get("calibration")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return (_read(Path(hf_hub_download(model, ON_HUB))) or {}).get("calibration")
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError):  # another's model, or no network
        return None


def _read(path: Path) -> dict | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
