"""Probabilities that mean what they say.

In general, they are the model's own, at the temperature that its evaluation found on the validation split. A model that learned from
the answers of a reviewer has a line on its log-odds instead, weights of evidence that are added to it, and two thresholds.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import comparison
from crm_dedup_plugin.provenance import model_digest
from crm_dedup_plugin.storage import read_json, results_of

ON_HUB = "results/metrics.json"  # where `crm-dedup push` puts it
LEARNED = "calibration.json"  # in the folder of a model: what it learned from a reviewer
COLUMNS = "columns"  # what the columns of a list say together, as one piece of evidence
DUPLICATE, POSSIBLE, NO_MATCH = range(len(LABELS))


class Calibration(NamedTuple):
    """How a model's probabilities become calibrated ones, and decisions.

    In general, the most probable label is the decision, and merges need `threshold`. After learning, the probability of DUPLICATE is that
    of one entity: from `threshold` on the decision is DUPLICATE, below `review_from` NO_MATCH, and between them POSSIBLE, which has no
    probability of its own. `known` is False where the model was never calibrated: then the temperature is 1.
    """

    temperature: float = 1.0
    threshold: float | None = None  # the probability of DUPLICATE from which on merges were right 99 times in 100
    known: bool = False
    slope: float | None = None  # of the log-odds; None: nothing was learned
    bias: float = 0.0
    review_from: float = 0.0
    weights: Mapping[str, float] = {}  # of what `policy.comparison` finds
    columns: Mapping[str, Sequence[float]] | None = None  # what each level of agreement adds; {}: a list can teach it, None: it must not

    @classmethod
    def of(cls, model: str) -> Self:
        """Return the calibration of a model folder or of a model on the Hub, as far as its results are at hand."""
        if learned := read_json(Path(model) / LEARNED):
            return cls(**learned)
        found = (read_json(embedded.CALIBRATION) if _is_embedded(model) else None) or _measured_here(model) or _published(model)
        return cls(found["temperature"], found["merge_at_99"]["threshold"], True) if found else cls()

    @classmethod
    def with_evidence(cls, model: str, weights: Path, otherwise: Self) -> Self:
        """Return the embedded model's calibration with the weights of evidence in a file beside it; another model has none."""
        return cls(**read_json(weights)["calibration"]) if _is_embedded(model) else otherwise

    def evidence(self, pairs: Iterable[tuple[Mapping[str, str], Mapping[str, str]]]) -> np.ndarray | float:
        """Return by how much the evidence of each pair of records moves its log-odds (pairs,); 0 where evidence has no weight."""
        return weighed(self.weights, map(self.vector, pairs)) if self.weights else 0.0

    def vector(self, pair: tuple[Mapping[str, str], Mapping[str, str]]) -> dict[str, float]:
        """Return the comparison vector of a pair of records, with what the columns of its list say together."""
        found = comparison.vector(*pair)
        return found | {COLUMNS: self.said(comparison.levels(*pair))} if self.columns else found

    def said(self, levels: Mapping[str, int]) -> float:
        """Return what the columns of a pair say together, from the levels on which they agree; a column that taught nothing says nothing."""
        return sum(self.columns[name][level] for name, level in levels.items() if name in self.columns)

    def apply(self, rows: Sequence[Sequence[float]], evidence: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the calibrated probabilities (pairs, 3) of a model's own ones, in the order of `LABELS`; `evidence` is that of the pairs."""
        logs = np.log(np.clip(np.asarray(rows, np.float64).reshape(-1, len(LABELS)), 1e-12, 1))
        if self.slope is None:
            found = np.exp((logs - logs.max(axis=1, keepdims=True)) / self.temperature)
            return found / found.sum(axis=1, keepdims=True)
        same = 1 / (1 + np.exp(-(self.slope * log_odds(rows) + self.bias + evidence)))
        return np.stack([same, np.zeros_like(same), 1 - same], axis=1)

    def labels(self, calibrated: np.ndarray) -> np.ndarray:
        """Return the decision of each row of calibrated probabilities, as an index of `LABELS`."""
        if self.slope is None:
            return calibrated.argmax(axis=1)
        same = calibrated[:, DUPLICATE]
        return np.where(same >= (self.threshold or 0), DUPLICATE, np.where(same < self.review_from, NO_MATCH, POSSIBLE))


def log_odds(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the logarithm of DUPLICATE's probability over that of NO_MATCH, for (pairs, 3) probabilities of a model."""
    logs = np.log(np.clip(np.asarray(rows, np.float64).reshape(-1, len(LABELS)), 1e-12, 1))
    return logs[:, DUPLICATE] - logs[:, NO_MATCH]


def weighed(weights: Mapping[str, float], vectors: Iterable[Mapping[str, float]]) -> np.ndarray:
    """Return by how much the evidence of each pair moves its log-odds, given their comparison vectors."""
    return np.array([sum(weights.get(name, 0.0) * value for name, value in vector.items()) for vector in vectors], np.float64)


def _is_embedded(model: str) -> bool:
    return Path(model).resolve() == (embedded.home() / f"{embedded.NAME}-merged").resolve()


def _measured_here(model: str) -> dict | None:
    """Return what `crm-dedup kpi` measured of ``outputs/NAME-merged``, if it was this very model."""
    folder = Path(model)
    if not folder.is_dir() or not folder.name.endswith("-merged"):
        return None
    found = read_json(results_of(folder.name.removesuffix("-merged")) / "metrics.json") or {}
    return found.get("calibration") if found.get("inputs", {}).get("model_sha256") == model_digest(model) else None


def _published(model: str) -> dict | None:
    """Return what was published with a model, in its folder or on the Hub."""
    if Path(model).is_dir():
        return (read_json(Path(model) / ON_HUB) or {}).get("calibration")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return (read_json(Path(hf_hub_download(model, ON_HUB))) or {}).get("calibration")
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError, UserError):  # another's model, or no network
        return None
