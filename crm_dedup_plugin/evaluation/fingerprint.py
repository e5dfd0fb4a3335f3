"""What the numbers of a model depend on: ``outputs/results/NAME/metrics.json`` is up to date where these are equal.

``python -m crm_dedup_plugin.evaluation.fingerprint`` prints the hash of the task.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from crm_dedup_plugin.evaluation import answers, calibration, documents, linking
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair import probe
from crm_dedup_plugin.provenance import TASK_VERSION, digest, model_digest

RATES = (*answers.REASONING, *answers.FLIPS, *answers.ATTACKS)
RESAMPLES = 10  # of the probabilities: enough to see another way of drawing them


def describe(model: str, tasks: Sequence[str], data: Path, files: Sequence[Path], options: Sequence[str]) -> dict:
    """Return hashes of the model, the data and the task, with the names of the tasks and the options; of `files` no folders."""
    return {
        "model_sha256": model_digest(model),
        "data_sha256": digest([data]),
        "task_sha256": fingerprint(),
        "task_version": TASK_VERSION,
        "options": shlex.join(options),
        "tasks": list(tasks),
        "files_sha256": {path.name: digest([path]) for path in files},
    }


@functools.cache
def fingerprint() -> str:
    """Return the SHA-256 of the task: of its version, of the question, and of `observations`."""
    return probe.sha256([TASK_VERSION, probe.fingerprint(), generation(), observations()])


def generation() -> list:
    """Return how the harness is told to ask: the settings in the YAML of `crm_dedup`, without their comments."""

    class Loader(yaml.SafeLoader):
        """Reads names of functions as text."""

    Loader.add_constructor("!function", lambda loader, node: node.value)
    settings = yaml.load((documents.TASKS / "crm_dedup" / "crm_dedup.yaml").read_text(encoding="utf-8"), Loader)
    return [settings[key] for key in ("output_type", "doc_to_text", "gen_prefix", "generation_kwargs")] + [engine.CONTEXT, engine.SEED]


def observations() -> dict:
    """Return what the present code makes of the probe pairs: documents, parsed answers and their reasoning, and all numbers."""
    rows = probe.rows()
    asked = {kind: documents.split(str(probe.PAIRS), kind) for kind in ("", "swapped", "shuffled", "injected")}
    items = {kind: [answers.read(doc, row["answer"]) for doc, row in zip(docs, rows, strict=True)] for kind, docs in asked.items()}
    plain = {item.key: answers.decision(item) for item in items[""]} | {items[""][0].key: None}
    gold, probabilities = [item.gold for item in items[""]], [row["probabilities"] for row in rows]
    match, slices, half = (
        [int(label == "DUPLICATE") for label in gold],
        ["hostile" if row["slice"] == "hostile" else "plain" for row in rows],
        len(rows) // 2,
    )
    scores = linking.score(probabilities)
    return {
        "documents": [{key: value for key, value in doc.items() if key != "key"} for docs in asked.values() for doc in docs],
        "canary": documents.CANARY,
        "items": [item[1:] for part in items.values() for item in part],
        "metrics": answers.summarise(items["injected"], RATES, plain),
        "calibration": calibration.measure(gold, probabilities, gold[:half], probabilities[:half], resamples=RESAMPLES),
        "linking": linking.measure(match, scores, slices, match[:half], scores[:half]),
    }


if __name__ == "__main__":
    print(fingerprint())
