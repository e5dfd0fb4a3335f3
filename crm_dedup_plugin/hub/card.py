"""The cards of a model and of a data set: the Hub's metadata, and a text in which every number comes from results.

The templates beside this file hold the words; this module supplies what fills them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from crm_dedup_plugin import __version__
from crm_dedup_plugin.hub.generated_pairs import Pairs
from crm_dedup_plugin.hub.licences import DOCUMENTS, Licence
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import GRAMMAR, LABELS
from crm_dedup_plugin.reporting import tables
from crm_dedup_plugin.reporting.metric_names import ARMS, CALIBRATION, FORMAT, QUALITY, ROBUSTNESS, titles
from crm_dedup_plugin.storage import EVIDENCE, RESULTS

TEMPLATES = ("model_card.md.jinja", "dataset_card.md.jinja")
SMALL_TRAINING, SMALL_TEST = 5_000, 1_000  # with fewer pairs, the card calls the model a demonstration
EXAMPLE = ({"Name": "Ann Lee", "Email": "ann@lee.example", "City": "Leeds"}, {"First Name": "Anne", "Last Name": "Lee", "E-mail": "ann@lee.example"})
SPLIT_NAMES = {"train": "train", "validation": "val", "test": "test"}  # the Hub's name: ours
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
HUB_METRICS = {"macro_f1": "f1", "accuracy": "accuracy", "precision_duplicate": "precision", "recall_duplicate": "recall"}


class Facts(NamedTuple):
    """What a model's card is written from; `training`, `benchmark`, `source`, `pairs` and `dataset` may be missing."""

    name: str
    repo: str
    base: str
    licence: Licence
    metrics: dict
    training: dict | None
    benchmark: dict | None
    source: dict | None
    pairs: Pairs | None  # those that the model was trained on
    dataset: str | None


def words() -> str:
    """Return the words that are in every card and so cannot be personal: the templates and the names of the metrics."""
    return " ".join((*(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in TEMPLATES), *titles()))


def model(facts: Facts, weights: dict[str, str], files: list[str]) -> str:
    """Return the card of a model; `weights` are the hashes of its weights by file name, `files` the files beside the card."""
    from huggingface_hub import ModelCard

    shown = {
        "config_path": Path((facts.training or {}).get("config") or f"axolotl_configs/{facts.name}.yml"),
        "small_training": SMALL_TRAINING,
        "small_test": SMALL_TEST,
        "weights": weights,
        "weakest": weakest(facts.metrics),
        "others": _others(facts),
        "headline": {**QUALITY, **ROBUSTNESS},
        "format": FORMAT,
        "calibration_metrics": CALIBRATION,
        "arms": ARMS,
        "hub_metrics": HUB_METRICS,
        "documents": [f"`{file}`" for file in files if file in DOCUMENTS],
        "pictures": [file for file in files if file.endswith(".png")],
        "example": [json.dumps(record) for record in EXAMPLE],
        "question": prompt.build(*EXAMPLE),
        "grammar": json.dumps(GRAMMAR, indent=2),
        "context": engine.CONTEXT,
    }
    return ModelCard(_render(TEMPLATES[0], **facts._asdict(), **shown)).content


def dataset(pairs: Pairs, repo: str, model_repo: str) -> str:
    """Return the card of generated pairs."""
    from huggingface_hub import DatasetCard

    splits = pairs.summary["splits"].values()
    total = sum(part["pairs"] for part in splits)
    shown = {
        "repo": repo,
        "model_repo": model_repo,
        "total": total,
        "size": next((name for limit, name in SIZES if total < limit), "n>10M"),
        "slices": sorted(set().union(*(part["slices"] for part in splits))),
        "split_names": SPLIT_NAMES,
        "labels": LABELS,
        "made": json.loads(pairs.card.read_text(encoding="utf-8")) if pairs.card else {},
    }
    return DatasetCard(_render(TEMPLATES[1], **pairs._asdict(), **shown)).content


def evaluation(facts: Facts) -> str:
    """Return the macro F1 of each task on the data set `facts.dataset` as the entries of a file in ``.eval_results/``."""
    return _render("evaluation.yaml.jinja", **facts._asdict())


def weakest(metrics: dict, count: int = 5, pairs: int = 3) -> list[tuple[str, dict]]:
    """Return the names and results of the `count` slices with the lowest accuracy, if below 1 and of at least `pairs` pairs."""
    parts = [item for item in (metrics.get("slices") or {}).items() if item[1]["pairs"] >= pairs and item[1]["accuracy"]["value"] < 1]
    return sorted(parts, key=lambda item: item[1]["accuracy"]["value"])[:count]


def code(name: str) -> str:
    """Return a name as inline code that cannot break out of a cell of a table."""
    return "`" + "".join(" " if char in "`|\n\r" else char for char in name) + "`"


def whole_percent(metric: dict | None) -> str:
    """Return a share with its interval in whole percent."""
    return tables.interval(metric, lambda value: f"{value:.0%}")


def _others(facts: Facts) -> list[tuple[str, dict]]:
    """Return the metrics of the model, its base model and the baselines on the same test split, the best macro F1 first."""
    found = {"**this model**": facts.metrics}
    for path in (path for place in (EVIDENCE, RESULTS) for path in sorted(place.glob("*/metrics.json"))):
        if path.parent.name == f"{facts.name}-base" or path.parent.name.startswith("baseline-"):
            other = json.loads(path.read_text(encoding="utf-8"))
            if (other.get("inputs") or {}).get("data_sha256") == facts.metrics["inputs"]["data_sha256"]:
                found[path.parent.name.removeprefix("baseline-")] = other
    return sorted(found.items(), key=lambda row: -row[1]["macro_f1"]["value"])


def _render(template: str, **facts: Any) -> str:
    """Return a card without the runs of empty lines that omitted parts leave behind."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent))
    written = {"share": tables.interval, "percent": whole_percent, "precise": tables.precise, "optional": tables.optional, "code": code}
    environment.filters |= {**written, "rate": lambda metric: tables.interval(metric, tables.rate)}
    text = environment.get_template(template).render(**facts, rubric=prompt.RUBRIC, version=__version__)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
