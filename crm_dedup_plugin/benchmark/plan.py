"""What a benchmark asks: the pairs of a split, the arms and the settings, checked and handed to other processes as a JSON file."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import engine, models
from crm_dedup_plugin.inference.engine import DECISION, FREE, FULL, Pair
from crm_dedup_plugin.pair.answer import MAX_ANSWER_TOKENS
from crm_dedup_plugin.pair.files import read_pairs

PARTS = ("offline", "online", "transformers")  # modules of this package; the slowest last, as each part is kept when it is done
QUICK = {"pairs": 8, "concurrency": (1, 4), "baseline_pairs": 4, "batches": (4,)}


class Arm(NamedTuple):
    """One way to ask all pairs offline; the prefix cache is "warm", "cold" (empty at the start) or "uncached" (never read)."""

    kind: str
    cache: str = "warm"


# In the order in which they run: the one without a schema needs the lengths of the full answers.
ARMS = {
    "full": Arm(FULL),
    "full_cold": Arm(FULL, "cold"),
    "full_uncached": Arm(FULL, "uncached"),
    "full_without_schema": Arm(FREE),
    "decision": Arm(DECISION),
    "decision_cold": Arm(DECISION, "cold"),
    "decision_uncached": Arm(DECISION, "uncached"),
}


@dataclass(frozen=True)
class Workload:
    """One benchmark: the model, the pairs and how often they are asked. Times are in seconds, deadlines in milliseconds."""

    model: str
    data: str
    pairs: int | None = None  # the first of the split; None: all
    repeats: int = 3
    concurrency: tuple[int, ...] = (1, 4, 16, 64, 256)
    max_tokens: int = MAX_ANSWER_TOKENS
    deadline_ms: int = 5000
    baseline_pairs: int = 64  # given to Transformers, at most
    batches: tuple[int, ...] = (256, 128, 64, 32, 16, 8, 4)  # batch sizes for Transformers, tried until one fits
    random_weights: bool = False
    quantization: str | None = None
    arms: tuple[str, ...] = ()  # of the offline part, besides "full"; empty: all
    engines: int = 1  # side by side, for the offline part
    plain_schema: bool = False  # the schema without the keys that select llguidance, for a back end that is named in `engine`
    engine: dict = field(default_factory=dict)

    def load(self) -> tuple[list[Pair], Pair]:
        """Return the pairs that are timed, and one more that warms the caches; raises UserError if there are fewer than two."""
        pairs = [pair.records for pair in read_pairs(self.data, None if self.pairs is None else self.pairs + 1)]
        if len(pairs) < 2:
            raise UserError(f"{self.data} has {len(pairs)} pairs: at least 2 are needed")
        return pairs[:-1], pairs[-1]

    def options(self) -> dict:
        """Return the arguments of vLLM's engine that replace or extend the usual ones."""
        chosen = {"quantization": self.quantization} if self.quantization else {}
        chosen |= {"load_format": "dummy"} if self.random_weights else {}
        return {**chosen, **self.engine}

    def write(self, path: Path) -> Path:
        """Write this to a file for another process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: str) -> Workload:
        """Return what `write` wrote."""
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(**values | {key: tuple(values[key]) for key in ("concurrency", "batches", "arms")})


def from_options(options: argparse.Namespace) -> Workload:
    """Return the workload that the options of ``crm-dedup bench`` describe."""
    given = {
        "pairs": options.pairs,
        "concurrency": options.concurrency and tuple(sorted(set(options.concurrency))),
        "batches": options.batches and tuple(options.batches),
        "arms": options.arms and tuple(arm for arm in ARMS if arm in options.arms),
        "max_tokens": options.max_tokens,
        "quantization": options.quantization,
    }
    return Workload(
        model=options.model or models.named(options.name),
        data=str(options.data),
        repeats=options.repeats,
        deadline_ms=options.deadline_ms,
        random_weights=options.random_weights,
        engines=options.engines,
        engine=engine.arguments(options.engine),
        **(QUICK if options.quick else {}) | {key: value for key, value in given.items() if value is not None},
    )
