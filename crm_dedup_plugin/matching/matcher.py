"""Decide whether two records describe the same entity: ``Matcher("embedded").decide({"name": "Ann Lee"}, {"name": "Anne Lee"})``.

The decision is the most probable of the three, read at the one token where answers differ. A whole answer, which explains
the decision, takes many tokens, and is asked for where somebody will read it.
"""

import contextlib
import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self

from crm_dedup_plugin import process
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import devices, embedded, models, pool
from crm_dedup_plugin.inference.engine import DECISION, FULL, Pair
from crm_dedup_plugin.matching.letter_case import alike
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.pair.answer import LABELS, exchange_sides
from crm_dedup_plugin.pair.prompt import ask
from crm_dedup_plugin.pair.record import Record, RecordError, check, normalise
from crm_dedup_plugin.policy.reasoning import corrected

NONE, REVIEW, ALL = EXPLAIN = ("none", "review", "all")
AUTO, TRANSFORMERS, VLLM = BACKENDS = ("auto", "transformers", "vllm")
FEW, CPU_FEW = 512, 48  # whole answers that Transformers writes sooner than vLLM starts, with a GPU and without
SHARD, GPU_SHARD = 64, 16_384  # pairs that are asked about together; with a GPU many, since it waits between two shards
READS = 2  # how a model is shown records, raised with each change: letter case is evened out
_encode = json.JSONEncoder(ensure_ascii=False).encode


class Decision(NamedTuple):
    """What a model says about one pair."""

    decision: str  # one of `LABELS`
    probabilities: dict[str, float]  # of each label; they sum to 1
    reasoning: str | None  # at most 240 characters, A is the record given first; None where it was not asked for, or was not finished
    calibrated: bool  # False: no calibration of this model was found, and the probabilities are as the model gave them


Answered = tuple[int, list[Decision] | list[list[float]]]


class Shown:
    """Pairs in the letter case in which a model reads them; each is made when it is read, and then among those `made`."""

    def __init__(self, pairs: Iterable[Pair]):
        self.pairs, self.made = list(pairs), []

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        self.made = []
        for pair in self.pairs:
            self.made.append(alike(*map(normalised, pair)))
            yield self.made[-1]


class Matcher:
    """A model that decides about pairs; it is loaded when it is first asked. Close it, or use it in a ``with`` block.

    `model` is "embedded", the name of a model that was trained here, a folder, or an id on the Hugging Face Hub. `backend` is
    "transformers" (ready in seconds, and fast at one token a pair), "vllm" (fast at many whole answers) or "auto", which uses both.
    `engines` copies of the model in vLLM share the whole answers, and the decisions too unless there is one GPU; `options` are vLLM's.
    Raises UserError where the model cannot be used, before its weights are loaded.
    """

    def __init__(self, model: str = embedded.NAME, backend: str = AUTO, engines: int = 1, options: dict | None = None):
        if backend not in BACKENDS:
            raise UserError(f"the backend {backend!r} is unknown: choose among {', '.join(BACKENDS)}")
        self.name, self.model = model, models.resolve(model)
        self.backend, self.engines, self.options = backend, engines, options
        self.calibration = Calibration.of(self.model)
        self._opened, self._loaded = contextlib.ExitStack(), {}

    def decide(self, record_a: dict, record_b: dict, explain: str = ALL) -> Decision:
        """Return the decision about two flat records (names and values; numbers, booleans and None are allowed).

        Raises RecordError where a record is no flat object or is empty, UserError where the model fails.
        """
        return self.decide_many([(record_a, record_b)], explain)[0]

    def decide_many(self, pairs: Iterable[Pair], explain: str = REVIEW) -> list[Decision]:
        """Return the decision about each pair of records, in their order; records as for `decide`, which also says what is raised.

        `explain` names the decisions that get a reasoning: "none", "review" (POSSIBLE alone: a person will read it) or "all".
        Which of two records comes first makes no difference, but to the A and B of a reasoning.
        """
        if explain not in EXPLAIN:
            raise UserError(f"explain={explain!r} is unknown: choose among {', '.join(EXPLAIN)}")
        shown = Shown(pairs)
        if not shown:
            return []
        with _explained(self.name):
            told, pairs = self.engine(DECISION).ask(DECISION, shown).answers, shown.made
            rows = self.calibration.apply(told, self.calibration.evidence(pairs))
            decided = [LABELS[at] for at in self.calibration.labels(rows)]
            asked = [at for at, label in enumerate(decided) if explain == ALL or (explain == REVIEW and label == LABELS[1])]
            replies = dict(zip(asked, self.engine(FULL, len(asked)).ask(FULL, [pairs[at] for at in asked]).answers, strict=True)) if asked else {}
        return [self._decision(*one, replies.get(at)) for at, one in enumerate(zip(pairs, decided, rows.tolist(), strict=True))]

    def probabilities(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Return the model's own probability of each label for each pair of records, before any calibration."""
        if not pairs:
            return []
        with _explained(self.name):
            return self.engine(DECISION).ask(DECISION, Shown(pairs)).answers

    @property
    def shard(self) -> int:
        """How many pairs `each` had best be given at once."""
        return GPU_SHARD if devices.visible_gpus() else SHARD

    def each(self, shards: Iterable[Iterable[Pair]], explain: str | None = None, count: int | None = None) -> Iterator[Answered]:
        """Yield for each shard of pairs its place, from 0, and what `decide_many` says of it, or `probabilities` where `explain` is None.

        `count` is the number of all pairs, if it is known: a cluster is not asked about few. Each shard is read before the next one. No
        shard's answers depend on the shards before it.
        """
        for at, shard in enumerate(shards):
            pairs = list(shard)
            if pairs:
                self.engine(DECISION)  # loaded before the first shard too, so that its cache is reset like any other
                for engine in self._loaded.values():
                    engine.reset_cache()
            yield at, self.probabilities(pairs) if explain is None else self.decide_many(pairs, explain)

    def close(self) -> None:
        """Free the memory of the model."""
        self._loaded = {}
        self._opened.close()
        gc.collect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decision(self, pair: Pair, label: str, row: Sequence[float], reply) -> Decision:
        said, reasoning = reply.answer if reply and reply.answer else (label, None)
        if reasoning:
            reasoning = corrected(reasoning if ask(*pair).record_a is pair[0] else exchange_sides(reasoning), *pair)
        # Where two decisions are equally probable, the whole answer may take the other one: its reasoning argues for that.
        # But what was learned from a reviewer overrules what the model says.
        label = said if self.calibration.slope is None else label
        return Decision(label, dict(zip(LABELS, row, strict=True)), reasoning, self.calibration.known)

    def engine(self, kind: str, pairs: int = 0):
        """Return what answers questions of a kind, and suits so many whole answers; it is loaded if it is not yet."""
        wanted = self.backend if self.backend != AUTO else self._better(kind, pairs)
        if wanted not in self._loaded:
            with _explained(self.name):
                self._loaded[wanted] = self._start(wanted)
        return self._loaded[wanted]

    def _better(self, kind: str, pairs: int) -> str:
        import torch

        few = FEW if torch.cuda.is_available() else CPU_FEW
        many = kind == FULL and (pairs > few or VLLM in self._loaded)
        shared = self.engines > 1 and len(devices.visible_gpus()) != 1  # on one GPU, copies in vLLM decide more slowly
        return VLLM if many or shared else TRANSFORMERS

    def _start(self, backend: str):
        if backend == VLLM:
            return self._opened.enter_context(pool.start(self.model, self.options, self.engines))
        from crm_dedup_plugin.inference.transformers_engine import TransformersEngine

        return TransformersEngine(self.model)


def normalised(record: dict) -> Record:
    return record if isinstance(record, Record) else normalise(check(record))[0]  # what `pair.files` reads is normalised already


def ahead(items: Iterator) -> Iterator:
    """Yield the items, none of them None. With a GPU, the next one is made in a thread while this one is used; without, Ctrl-C would wait for it."""
    if not devices.visible_gpus():
        yield from items
        return
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, items, None)
            yield item


@contextlib.contextmanager
def _explained(model: str):
    """Raise what a library says about memory or the model as a UserError with the cure."""
    try:
        yield
    except RecordError:  # of a pair that was read meanwhile
        raise
    except (RuntimeError, ValueError, MemoryError, OSError) as error:
        said = f"{type(error).__name__}: {error}"
        cure = process.advice(said) or "try --backend transformers; --verbose shows where it failed"
        raise UserError(f"{model} cannot be asked: {said.splitlines()[0][:300]}: {cure}") from error


def to_line(decision: Decision, **names: object) -> str:
    """Return a decision as one line of JSON, after the names that tell which pair it is about."""
    rounded = {label: round(probability, 4) for label, probability in decision.probabilities.items()}
    return _encode({**names, **decision._asdict(), "probabilities": rounded})
