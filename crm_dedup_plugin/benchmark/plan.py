"""What every arm of the benchmark gets: pairs of a split, and the settings of one run, handed to a process as a JSON file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair.answer import MAX_ANSWER_TOKENS
from crm_dedup_plugin.pair.files import read_pairs

Pair = tuple[dict, dict]


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
    baseline_pairs: int = 64  # that Transformers is given, at most
    batches: tuple[int, ...] = (256, 128, 64, 32, 16, 8, 4)  # of Transformers, tried until one fits
    random_weights: bool = False
    quantization: str | None = None
    arms: tuple[str, ...] = ()  # of vLLM offline besides "full"; none: all
    engines: int = 1  # side by side for offline work
    plain_schema: bool = False  # the schema without what picks llguidance, for a back end that is named in `engine`
    engine: dict = field(default_factory=dict)

    def load(self) -> tuple[list[Pair], Pair]:
        """Return the pairs that are timed, and another one that warms the caches; raises UserError on fewer than two."""
        pairs = [pair.records for pair in read_pairs(self.data, None if self.pairs is None else self.pairs + 1)]
        if len(pairs) < 2:
            raise UserError(f"{self.data} has {len(pairs)} pairs: at least 2 are needed")
        return pairs[:-1], pairs[-1]

    def settings(self) -> dict:
        """Return the arguments of vLLM's engine."""
        chosen = {"quantization": self.quantization} if self.quantization else {}
        chosen |= {"load_format": "dummy"} if self.random_weights else {}
        return {**engine.settings(), **chosen, **self.engine}

    def gpus_each(self) -> int:
        """Return how many GPUs one engine is spread over."""
        return math.prod(int(self.engine.get(f"{kind}_parallel_size", 1)) for kind in ("tensor", "pipeline"))

    def write(self, path: Path) -> Path:
        """Write this to a file for another process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: str) -> Workload:
        """Return what `write` wrote."""
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(**values | {key: tuple(values[key]) for key in ("concurrency", "batches", "arms")})
