"""The cards of a model and of a data set: the Hub's metadata, and a text whose every number comes from results.

The texts are the templates beside this file; here are their numbers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin import __version__
from crm_dedup_plugin.hub.generated_pairs import Pairs
from crm_dedup_plugin.hub.licences import DOCUMENTS, Licence
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import GRAMMAR
from crm_dedup_plugin.reporting import card_tables, metric_names
from crm_dedup_plugin.reporting.metric_names import QUALITY, ROBUSTNESS

TEMPLATES = ("model_card.md.jinja", "dataset_card.md.jinja")
SMALL_TRAINING, SMALL_TEST = 5_000, 1_000  # pairs below which a model, or a number, only demonstrates
EXAMPLE = (
    {"Name": "Ann Lee", "Email": "ann@lee.example", "City": "Leeds"},
    {"First Name": "Anne", "Last Name": "Lee", "E-mail": "ann@lee.example"},
)
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_TASKS = {"macro_f1": "f1", "accuracy": "accuracy", "precision_duplicate": "precision", "recall_duplicate": "recall"}  # the Hub's metrics


class Facts(NamedTuple):
    """All that a model's card is written from; `training`, `benchmark`, `source`, `pairs` and `dataset` may be missing."""

    name: str
    repo: str
    base: str
    licence: Licence
    metrics: dict
    training: dict | None
    benchmark: dict | None
    source: dict | None
    pairs: Pairs | None
    dataset: str | None

    @property
    def trained_on(self) -> Pairs | None:
        """The pairs, if they are those that the model was trained on."""
        same = self.pairs and self.training and self.pairs.summary["splits"]["train"]["sha256"] == self.training["train_sha256"]
        return self.pairs if same else None


def words() -> str:
    """Return the words that every card holds, and that belong to nobody: the templates and the names of the metrics."""
    return " ".join((*map(_template, TEMPLATES), *metric_names.titles()))


def model(facts: Facts, weights: dict[str, str], files: list[str]) -> str:
    """Return the card of a model; `weights` are the hashes of its weights by name, `files` what stands beside the card."""
    from huggingface_hub import ModelCard

    metrics, pairs = facts.metrics, facts.trained_on
    config = Path((facts.training or {}).get("config") or f"axolotl_configs/{facts.name}.yml")
    shown = {
        "repo": facts.repo,
        "name": facts.name,
        "config_path": config,
        "base": facts.base,
        "llama": facts.licence.llama,
        "licence": facts.licence,
        "dataset": facts.dataset,
        "metrics": metrics,
        "pairs": pairs,
        "training_pairs": pairs.summary["splits"]["train"]["pairs"] if pairs else None,
        "small_training": SMALL_TRAINING,
        "small_test": SMALL_TEST,
        "benchmark": facts.benchmark,
        "training": facts.training,
        "base_weights": (facts.source or {}).get("weights"),
        "config": config.read_text(encoding="utf-8").strip() if config.is_file() else None,
        "weights": weights,
        "documents": [f"`{file}`" for file in files if file in DOCUMENTS],
        "pictures": [file for file in files if file.endswith(".png")],
        "example": [json.dumps(record) for record in EXAMPLE],
        "question": prompt.build(*EXAMPLE),
        "rubric": prompt.RUBRIC,
        "grammar": json.dumps(GRAMMAR, indent=2),
        "context": engine.CONTEXT,
        "version": __version__,
        "versions": metrics.get("versions") or {},
    }
    card = ModelCard.from_template(
        _metadata(facts), template_str=_template(TEMPLATES[0]), **shown, **card_tables.model(facts.name, metrics, facts.benchmark)
    )
    return _tidy(card.content)


def dataset(pairs: Pairs, repo: str, model_repo: str) -> str:
    """Return the card of generated pairs."""
    from huggingface_hub import DatasetCard, DatasetCardData

    total = sum(part["pairs"] for part in pairs.summary["splits"].values())
    data = DatasetCardData(
        language=list(pairs.languages),
        license="apache-2.0",
        annotations_creators=["machine-generated"],
        task_categories=["text-classification"],
        size_categories=[size_category(total)],
        pretty_name="Generated pairs of CRM records",
        tags=["entity-resolution", "deduplication", "record-linkage", "crm", "synthetic"],
        configs=[
            {"config_name": "default", "data_files": [{"split": hub, "path": f"{ours}.jsonl"} for hub, ours in card_tables.SPLIT_NAMES.items()]}
        ],
    )
    made = json.loads(pairs.card.read_text(encoding="utf-8")) if pairs.card else {}
    shown = {"repo": repo, "model_repo": model_repo, "summary": pairs.summary, "total": total, "commands": pairs.commands, "made": made}
    shown |= {
        "splits": card_tables.splits(pairs.summary),
        "slices": card_tables.slices(pairs.summary),
        "rubric": prompt.RUBRIC,
        "version": __version__,
    }
    return _tidy(DatasetCard.from_template(data, template_str=_template(TEMPLATES[1]), **shown).content)


def size_category(pairs: int) -> str:
    """Return the Hub's name for a size."""
    return next((name for limit, name in SIZES if pairs < limit), "n>10M")


def evaluation(facts: Facts) -> str:
    """Return the results as entries of ``.eval_results/``: macro F1 of each task on the data set `facts.dataset`."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    measured = {"crm_dedup": facts.metrics, **facts.metrics.get("tasks", {})}
    entries = [
        EvalResultEntry(
            dataset_id=facts.dataset,
            task_id=task,
            value=part["macro_f1"]["value"],
            notes=f"macro F1 of {part['pairs']} pairs; 95% interval {part['macro_f1']['low']:.4f} to {part['macro_f1']['high']:.4f}",
        )
        for task, part in measured.items()
        if part.get("macro_f1") and task != "crm_dedup_unseen"  # those pairs are not in the data set
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)


def _metadata(facts: Facts):
    """Return the Hub's metadata of the model."""
    from huggingface_hub import EvalResult, ModelCardData

    test = {"dataset_type": facts.dataset or "crm-dedup", "dataset_name": "pairs of CRM records, test split", "dataset_split": "test"}
    task = {"task_type": "text-generation", "task_name": "Deduplication of CRM records"}
    results = [
        EvalResult(
            **task,
            **test,
            metric_type=_TASKS.get(key, key),
            metric_name=f"{metric.title}, 95% interval {value['low']:.2f}-{value['high']:.2f}",
            metric_value=value["value"],
        )
        for key, metric in {**QUALITY, **ROBUSTNESS}.items()
        if (value := facts.metrics.get(key))
    ]
    return ModelCardData(
        language=list(facts.trained_on.languages) or None if facts.trained_on else None,
        license=facts.licence.id,
        license_name=facts.licence.name,
        license_link=facts.licence.link,
        library_name="transformers",
        pipeline_tag="text-generation",
        base_model=facts.base,
        base_model_relation="finetune",
        datasets=[facts.dataset] if facts.dataset else None,
        tags=["entity-resolution", "deduplication", "record-linkage", "crm", "structured-output", "axolotl", "vllm"],
        metrics=["f1", "accuracy", "precision"],
        model_name=facts.repo.split("/")[1],
        eval_results=results,
    )


def _tidy(text: str) -> str:
    """Return a card without the empty lines that the parts left out of it leave behind."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _template(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
