"""The plugin surface for lm-evaluation-harness: what the YAML files in ``lm_eval_tasks/`` name, ``!function utils.NAME``.

The first document of every task is a canary, whose prompt asks for something else than our JSON. If the answer is not
our JSON, decoding was not constrained by the schema, and the run fails instead of printing numbers that mean nothing.

The perturbed tasks compare their answers with those of `crm_dedup` in the same run. This works because the harness
reads the answers of all tasks before it computes the metrics of any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

import datasets

from crm_dedup_plugin.evaluation import answers, documents, metrics
from crm_dedup_plugin.evaluation.answers import ATTACKS, FLIPS, REASONING, Item
from crm_dedup_plugin.pair.answer import GRAMMAR, MAX_ANSWER_TOKENS, RESPONSE_FORMAT
from crm_dedup_plugin.provenance import TASK_VERSION

__all__ = ["MAX_ANSWER_TOKENS", "RESPONSE_FORMAT", "TASK_VERSION"]  # handed to the YAML files
LOWER_IS_BETTER = {"truncated", "reasoning_contradicts", *FLIPS, *ATTACKS}

_plain: dict[str, str | None] = {}  # the decisions of `crm_dedup`, by the key of the document
_model_name: str | None = None


def _loader(load: Callable[..., list[dict]]) -> Callable[..., dict[str, datasets.Dataset]]:
    """Return `load` for ``custom_dataset``. The harness passes its model arguments along; a new run forgets the last one's answers."""

    def begin(pretrained: str | None = None, **metadata) -> dict[str, datasets.Dataset]:
        global _model_name
        _model_name = pretrained
        _plain.clear()
        return {"test": datasets.Dataset.from_list([documents.CANARY, *load(**metadata)])}

    return begin


def _processor(names: Sequence[str]) -> Callable[[dict, list[str]], dict[str, Item]]:
    """Return what gives every metric of `names` the same item of a document: they are reduced over all documents at once."""
    return lambda doc, results: dict.fromkeys(names, answers.read(doc, results[0]))


def _metric(name: str) -> dict:
    """Return the entry of ``metric_list``, with the function that reduces the items of all documents to one number."""

    def aggregate(items: list[Item]) -> float:
        kept = answers.screen(tuple(items))
        if name.startswith("dedup_"):
            return answers.scores(kept)[name.removeprefix("dedup_")]
        if name.startswith("pair_"):
            return answers.pair_scores(kept)[name.removeprefix("pair_")]
        if name in metrics.QUALITY_NAMES:
            return metrics.answer_quality([item.answer for item in kept])[name]
        flags = answers.flags(kept, _plain)[name]
        return fmean(flags) if flags else float("nan")

    return {"metric": name, "aggregation": aggregate, "higher_is_better": name not in LOWER_IS_BETTER}


load_split, load_unseen, load_pairs, load_public = map(_loader, (documents.split, documents.unseen, documents.pairs, documents.public))

_QUALITIES = (*metrics.QUALITY_NAMES, *REASONING)
_SPLIT = (*(f"dedup_{name}" for name in metrics.SCORE_NAMES), *_QUALITIES)
_PAIRS = (*(f"pair_{name}" for name in metrics.PAIR_SCORE_NAMES), *_QUALITIES)
_METRICS = {
    "SPLIT_METRICS": _SPLIT,
    "SWAP_METRICS": (*_SPLIT, *FLIPS),
    "ATTACK_METRICS": (*_SPLIT, *ATTACKS),
    "PAIR_METRICS": _PAIRS,
    "PUBLIC_METRICS": (*_PAIRS, "pair_mean_f1"),
}
process_swap = _processor(_METRICS["SWAP_METRICS"])
process_attack = _processor(_METRICS["ATTACK_METRICS"])
process_pair = _processor(_METRICS["PAIR_METRICS"])
process_public = _processor(_METRICS["PUBLIC_METRICS"])


def process_results(doc: dict, results: list[str]) -> dict[str, Item]:
    """Return the item of a document for every metric, and remember its decision for the perturbed tasks."""
    item = answers.read(doc, results[0])
    _plain[item.key] = answers.decision(item)
    return dict.fromkeys(_SPLIT, item)


def __getattr__(name: str):
    """Build what needs an inference engine only when a YAML file of that engine asks for it."""
    if name in _METRICS:
        return [_metric(metric) for metric in _METRICS[name]]
    if name == "STRUCTURED_OUTPUTS":
        from vllm.sampling_params import StructuredOutputsParams

        return StructuredOutputsParams(json=GRAMMAR)
    if name == "LOGITS_PROCESSOR":
        from crm_dedup_plugin.inference.grammar import SchemaProcessor, tokens_of

        return [SchemaProcessor(lambda: tokens_of(_model_name))]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
