"""What is read from ``metrics.json`` and ``benchmark.json``, as pydantic models: an error names the broken file.

``read(folder / "metrics.json", Metrics, "run `make kpi-smollm2-135m` again")``; ``load("smollm2-135m")`` returns all of its metrics.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.storage import results_of

Fraction = Annotated[FiniteFloat, Field(ge=0, le=1)]
Positive = Annotated[FiniteFloat, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """A part of a file; keys that nobody reads here are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, protected_namespaces=())


class Interval(Part):
    """A number with its 95% bootstrap interval, or a median with the minimum and the maximum of some runs."""

    value: Positive
    low: Positive
    high: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Interval:
        if not self.low - 1e-9 <= self.value <= self.high + 1e-9:
            raise ValueError("value must lie between low and high")
        return self

    def overlaps(self, other: Interval) -> bool:
        """Tell whether the two intervals have a point in common."""
        return self.low <= other.high and other.low <= self.high


class Share(Interval):
    """An interval between 0 and 1."""

    value: Fraction
    low: Fraction
    high: Fraction


Latency = dict[str, Interval | None] | None  # by "mean", "p50", "p95" and "p99"


class Slice(Part):
    pairs: Count
    accuracy: Share


class Merges(Part):
    """Automatic merges above a threshold that was chosen on the validation pairs."""

    merged: Count
    precision: Share | None = None
    precision_exact_low: Fraction | None = None
    coverage: Share | None = None


class Curve(Part):
    precision: list[Fraction] = Field(min_length=1)
    recall: list[Fraction] = Field(min_length=1)

    @model_validator(mode="after")
    def _even(self) -> Curve:
        if len(self.precision) != len(self.recall):
            raise ValueError("precision and recall must be equally long")
        return self


class Bin(Part):
    confidence: Fraction
    accuracy: Fraction
    pairs: Count


class Calibration(Part):
    temperature: Positive | None = None
    ece: Share | None = None
    ece_calibrated: Share | None = None
    merge_at_99: Merges | None = None
    precision_recall: Curve | None = None
    reliability: dict[str, list[Bin]] | None = None  # "as_is" and "calibrated"


class Linking(Part):
    """Links between the records of public pairs, above a threshold chosen on held-out lists; the mean of the files."""

    mean_f1: Share


class Inputs(Part):
    data_sha256: str
    model_sha256: str | None = None
    task_sha256: str | None = None
    prompt_sha256: str | None = None


class Metrics(Part):
    """The quality of a model, or of a baseline, which has no task and answers without JSON."""

    model: str
    inputs: Inputs
    pairs: Annotated[int, Field(gt=0)]
    macro_f1: Share
    accuracy: Share
    f1_duplicate: Share
    precision_duplicate: Share
    confusion: dict[str, dict[str, Count]]
    slices: dict[str, Slice] = {}
    linking: Linking | None = None
    flip_rate: Share | None = None
    shuffle_flip_rate: Share | None = None
    injection_moved: Share | None = None
    injection_success: Share | None = None
    reasoning_grounded: Share | None = None
    valid_json: Fraction | None = None
    calibration: Calibration | None = None
    versions: dict[str, str] = {}
    note: str | None = None  # what readers of its numbers have to know


class Hardware(Part):
    name: str


class Arm(Part):
    """One way to answer many pairs at once: the whole JSON object, or only the decision."""

    pairs_per_second: Interval | None = None
    limit_pairs_per_second: Positive | None = None
    share_of_limit: Positive | None = None
    cost_per_million_pairs: Positive | None = None


class Load(Part):
    """What a server does with this many concurrent requests."""

    concurrency: Annotated[int, Field(gt=0)]
    pairs_per_second: Interval | None = None
    goodput: Interval | None = None
    ttft_ms: Latency = None
    tpot_ms: Latency = None
    itl_ms: Latency = None
    e2el_ms: Latency = None


class Benchmark(Part):
    """The speed of a model on one machine."""

    hardware: Hardware
    inputs: Inputs
    model: str = ""
    random_weights: bool = False
    quick: bool = False
    quantization: str | None = None
    pairs: Count | None = None
    offline: dict[str, Arm | None] | None = None
    online: list[Load] | None = None
    versions: dict[str, str] | None = None

    @property
    def alone(self) -> Load | None:
        """What was measured with one request at a time."""
        return next((load for load in self.online or () if load.concurrency == 1), None)


Form = TypeVar("Form", bound=Part)


def find(found: Any, path: str) -> Any:
    """Return what a path of attributes and keys leads to, as in "offline.full.pairs_per_second"; None where a part is missing."""
    for part in path.split("."):
        if found is not None:
            found = found.get(part) if isinstance(found, dict) else getattr(found, part)
    return found


def read(path: Path, form: type[Form], cure: str) -> Form:
    """Return what a file holds; raises UserError with the file, the place in it and the cure, but never with the value there."""
    try:
        return form.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {cure}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path}: {place}: {first['msg'][:200]}: {cure}") from None


def load(name: str) -> dict:
    """Return the whole metrics.json of one model; raises UserError if there is none."""
    path = results_of(name) / "metrics.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist: run {advise('kpi', name)} first")
    return json.loads(path.read_text(encoding="utf-8"))
