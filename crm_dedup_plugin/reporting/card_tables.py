"""The tables of the cards, from the numbers of ``metrics.json``, ``benchmark.json`` and ``summary.json``."""

from __future__ import annotations

import json

from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.reporting.metric_names import ARMS, CALIBRATION, FORMAT, QUALITY, ROBUSTNESS
from crm_dedup_plugin.reporting.tables import interval, optional, precise, rate, table
from crm_dedup_plugin.storage import EVIDENCE, RESULTS

SPLIT_NAMES = {"train": "train", "validation": "val", "test": "test"}  # the Hub's name: ours


def model(name: str, metrics: dict, benchmark: dict | None) -> dict[str, object]:
    """Return the tables and numbers of a model's card by their names in the template; None for what was not measured."""
    calibration = metrics.get("calibration") or {}
    return {
        "results_table": _results(metrics),
        "others_table": _others(name, metrics),
        "calibration_table": _calibration(calibration) if calibration else None,
        "merging": calibration.get("merge_at_99"),
        "temperature": calibration.get("temperature"),
        "weakest": weakest(metrics),
        "offline_table": _offline((benchmark or {}).get("offline") or {}),
        "online_table": _online((benchmark or {}).get("online") or []),
        "share": interval,
        "percent": whole_percent,
    }


def whole_percent(metric: dict | None) -> str:
    """Return a share with its interval in whole percent."""
    return interval(metric, lambda value: f"{value:.0%}")


def weakest(metrics: dict, count: int = 5, pairs: int = 3) -> list[str]:
    """Return the slices with the lowest accuracy below 1, of at least `pairs` pairs, as "`twin` 0.43 (7 pairs)"."""
    parts = [item for item in (metrics.get("slices") or {}).items() if item[1]["pairs"] >= pairs and item[1]["accuracy"]["value"] < 1]
    parts.sort(key=lambda item: item[1]["accuracy"]["value"])
    return [f"{code(name)} {part['accuracy']['value']:.2f} ({part['pairs']} pairs)" for name, part in parts[:count]]


def splits(summary: dict) -> str:
    """Return the pairs and decisions of each split."""
    parts = {hub: summary["splits"][ours] for hub, ours in SPLIT_NAMES.items()}
    return table(["split", "pairs", *LABELS], [[hub, part["pairs"], *(part["decisions"][label] for label in LABELS)] for hub, part in parts.items()])


def slices(summary: dict) -> str:
    """Return how many pairs of each slice the splits hold."""
    parts = [summary["splits"][ours]["slices"] for ours in SPLIT_NAMES.values()]
    return table(["slice", *SPLIT_NAMES], [[code(name), *(part.get(name, 0) for part in parts)] for name in sorted(set().union(*parts))])


def code(name: str) -> str:
    """Return a name as code that cannot leave its cell, whatever it holds."""
    return "`" + "".join(" " if char in "`|\n\r" else char for char in name) + "`"


def _results(metrics: dict) -> str:
    rows = [[metric.title, interval(metrics[key])] for key, metric in {**QUALITY, **ROBUSTNESS}.items() if metrics.get(key)]
    rows += [[metric.title, optional(metrics[key])] for key, metric in FORMAT.items() if metrics.get(key) is not None]
    return table(["on the test split", "value (95% interval)"], [*rows, ["pairs", metrics["pairs"]]])


def _others(name: str, metrics: dict) -> str | None:
    """Return macro F1 of the base model and the baselines on the same test split, best first; None if there are none."""
    rows = {"**this model**": metrics}
    for path in (path for place in (EVIDENCE, RESULTS) for path in sorted(place.glob("*/metrics.json"))):
        if path.parent.name == f"{name}-base" or path.parent.name.startswith("baseline-"):
            other = json.loads(path.read_text(encoding="utf-8"))
            if (other.get("inputs") or {}).get("data_sha256") == metrics["inputs"]["data_sha256"]:
                rows[path.parent.name.removeprefix("baseline-")] = other
    ranked = sorted(rows.items(), key=lambda row: -row[1]["macro_f1"]["value"])
    shown = [[title, interval(other["macro_f1"]), interval(other.get("precision_duplicate"))] for title, other in ranked]
    return table(["on the same pairs", "macro F1", "precision DUPLICATE"], shown) if len(rows) > 1 else None


def _calibration(calibration: dict) -> str:
    rows = [[metric.title, precise(calibration[key])] for key, metric in CALIBRATION.items() if calibration.get(key)]
    return table(["calibration", "value (95% interval)"], rows)


def _offline(arms: dict) -> str | None:
    rows = [
        [title, *(interval(arm.get(key), rate) for key in ("pairs_per_second", "output_tokens_per_second")), optional(arm.get("valid_json"))]
        for key, title in ARMS.items()
        if (arm := arms.get(key))
    ]
    return table(["all pairs at once", "pairs/s", "output tokens/s", "valid JSON"], rows) if rows else None


def _online(levels: list[dict]) -> str | None:
    points = [(f"{kind}_ms", at) for kind in ("ttft", "tpot", "e2el") for at in ("p50", "p99")]
    rows = [
        [
            one["concurrency"],
            interval(one.get("pairs_per_second"), rate),
            *(interval((one.get(kind) or {}).get(at), rate) for kind, at in points),
        ]
        for one in levels
    ]
    heads = ["requests at once", "pairs/s", *(f"{kind[:-3].upper()} {at}, ms" for kind, at in points)]
    return table(heads, rows) if rows else None
