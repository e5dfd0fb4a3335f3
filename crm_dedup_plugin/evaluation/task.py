"""What the lm-evaluation-harness tasks are made of; ``lm_eval_tasks/*/utils.py`` hands these on to the YAML files.

The first document of every task is a canary: it begins an answer that no grammar of ours allows. If it comes back
as anything else than our JSON, decoding was not constrained and no number of the run would mean what it says.
"""

from __future__ import annotations

import json
from pathlib import Path

import datasets

from crm_dedup_plugin import metrics, prompt, schema
from crm_dedup_plugin.records import check

ROOT = Path(__file__).resolve().parents[2]
TEST_SPLIT = ROOT / "data" / "splits" / "test.jsonl"
CANARY = {
    "id": "",
    "prompt": "Count from 1 to 30. Write only the numbers, with commas between them.",
    "gen_prefix": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10,",
    "gold": "",
    "slice": "",
}
MAX_ANSWER_TOKENS = schema.MAX_ANSWER_TOKENS

_model_name: str | None = None


class UnconstrainedError(RuntimeError):
    """The answers were not decoded under the grammar."""


def load_split(data: str | None = None, pretrained: str | None = None, **_) -> dict[str, datasets.Dataset]:
    """Return the test split, or the file `data` in the same format, for ``custom_dataset``.

    The harness passes its model arguments along: the `hf` variant needs the tokenizer of `pretrained`.
    """
    global _model_name
    _model_name = pretrained
    return _dataset(_rows(Path(data) if data else TEST_SPLIT, 'run `make prep` or give --metadata \'{"data": "FILE"}\''), _pair)


def load_pairs(pairs: str | None = None, **_) -> dict[str, datasets.Dataset]:
    """Return labelled pairs from the file `pairs`: ``{"label": 0 | 1, "record_a": {...}, "record_b": {...}}`` a line."""
    cure = 'give a file of labelled pairs with --metadata \'{"pairs": "FILE"}\''
    if not pairs:
        raise ValueError(f"no pairs to evaluate: {cure}")
    return _dataset(_rows(Path(pairs), cure), _labelled_pair)


def process_results(doc: dict, results: list[str]) -> dict[str, tuple]:
    """Return the same (document id, gold, answer) for every metric: they are reduced over all documents at once."""
    item = (doc["id"], doc["gold"], results[0])
    return dict.fromkeys((*SCORES, *QUALITIES), item)


def process_pair(doc: dict, results: list[str]) -> dict[str, tuple]:
    """Return the same (document id, gold, answer) for every two-way metric."""
    return dict.fromkeys((*PAIR_SCORES, *QUALITIES), (doc["id"], doc["gold"], results[0]))


def screen(items: list[tuple]) -> tuple[list[str], list[str]]:
    """Return the gold labels and the answers without the canary; raises UnconstrainedError if that one got away."""
    for number, _, answer in items:
        if number == CANARY["id"] and not _follows_grammar(answer):
            raise UnconstrainedError(
                f"the canary answered {answer[:60]!r} instead of JSON: decoding is not constrained by the schema. "
                "Use a task made for this model type (crm_dedup for vllm, crm_dedup_hf for hf, crm_dedup_chat for "
                "local-chat-completions), leave generation_kwargs alone, and serve with structured outputs on."
            )
    kept = [item for item in items if item[0] != CANARY["id"]]
    return [gold for _, gold, _ in kept], [answer for _, _, answer in kept]


def _follows_grammar(answer: str) -> bool:
    """Tell whether `answer` begins as only a constrained one does, blanks aside; it may be cut off."""
    return "".join(answer.split()).startswith('{"decision":"') and (schema.parse(answer) is not None or schema.is_truncated(answer))


def _score(name: str):
    def aggregate(items: list[tuple]) -> float:
        gold, answers = screen(items)
        return metrics.scores(gold, decisions(answers))[name]

    return aggregate


def _pair_score(name: str):
    def aggregate(items: list[tuple]) -> float:
        gold, answers = screen(items)
        return metrics.pair_scores([int(label) for label in gold], decisions(answers))[name]

    return aggregate


def _quality(name: str):
    return lambda items: metrics.answer_quality(screen(items)[1])[name]


def decisions(answers: list[str]) -> list[str | None]:
    """Return the decision of each answer, None where it cannot be read."""
    return [answer and answer.decision for answer in map(schema.parse, answers)]


SCORES = {f"dedup_{name}": _score(name) for name in metrics.SCORE_NAMES}
PAIR_SCORES = {f"pair_{name}": _pair_score(name) for name in metrics.PAIR_SCORE_NAMES}
QUALITIES = {name: _quality(name) for name in metrics.QUALITY_NAMES}


def __getattr__(name: str):
    """Build what needs an inference engine only when a YAML file of that engine asks for it."""
    for functions in (SCORES, PAIR_SCORES, QUALITIES):
        if name in functions:
            return functions[name]
    if name == "STRUCTURED_OUTPUTS":
        from vllm.sampling_params import StructuredOutputsParams

        return StructuredOutputsParams(json=schema.GRAMMAR)
    if name == "RESPONSE_FORMAT":
        return {"type": "json_schema", "json_schema": {"name": "crm_dedup", "strict": True, "schema": schema.GRAMMAR}}
    if name == "LOGITS_PROCESSOR":
        from crm_dedup_plugin.evaluation.hf import SchemaProcessor

        return [SchemaProcessor(lambda: _model_name)]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _rows(path: Path, cure: str) -> list[dict]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: {cure}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _dataset(rows: list[dict], convert) -> dict[str, datasets.Dataset]:
    if not rows:
        raise ValueError("no pairs in the file: it has no lines")
    return {"test": datasets.Dataset.from_list([CANARY, *(convert(number, row) for number, row in enumerate(rows))])}


def _pair(number: int, row: dict) -> dict:
    pair = row["input"]
    return {
        "id": str(row["id"]) if row.get("id") not in (None, "") else f"line {number + 1}",
        "prompt": prompt.build(check(pair["record_a"]), check(pair["record_b"])),
        "gen_prefix": "",
        "gold": row["output"]["decision"],
        "slice": str(row.get("slice") or ""),
    }


def _labelled_pair(number: int, row: dict) -> dict:
    if row.get("label") not in (0, 1):
        raise ValueError(f"pair {number + 1}: label {row.get('label')!r} must be 1 (the same entity) or 0 (different ones)")
    output = {"decision": str(row["label"])}
    pair = {"record_a": row["record_a"], "record_b": row["record_b"]}
    return _pair(number, {"id": row.get("pair_id"), "input": pair, "output": output})
