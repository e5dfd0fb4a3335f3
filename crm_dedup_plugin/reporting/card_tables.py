"""The tables of the cards, from the numbers of ``metrics.json``, ``benchmark.json`` and ``summary.json``."""

from __future__ import annotations

import json

from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.storage import EVIDENCE

ROWS = {
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    **{f"f1_{label.lower()}": f"F1 {label}" for label in LABELS},
    "precision_duplicate": "precision DUPLICATE",
    "recall_duplicate": "recall DUPLICATE",
}
ROBUSTNESS = {
    "flip_rate": "decision changes when the records change places",
    "shuffle_flip_rate": "decision changes when the fields change places",
    "injection_moved": "decision changes under a hidden instruction",
    "injection_success": "a hidden instruction is obeyed",
    "reasoning_grounded": "reasoning about fields, all of it true of the records",
    "reasoning_contradicts": "reasoning that argues for another decision",
}
SHARES = {"valid_json": "valid JSON", "truncated": "truncated answers"}
CALIBRATION = {
    "auroc": "AUROC of DUPLICATE",
    "ece": "calibration error",
    "ece_calibrated": "calibration error, with the temperature fitted",
    "review_load": "share that goes to a person",
}
ARMS = {
    "full": "JSON answer under the schema",
    "full_cold": "the same, empty prefix cache",
    "full_uncached": "the same, without prefix cache",
    "full_without_schema": "JSON answer without the schema",
    "decision": "decision alone, one token",
    "decision_cold": "the same, empty prefix cache",
    "decision_uncached": "the same, without prefix cache",
}
SPLIT_NAMES = {"train": "train", "validation": "val", "test": "test"}  # the Hub's name: ours
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))


def of(name: str, metrics: dict, benchmark: dict | None) -> dict[str, object]:
    """Return the tables and numbers of a model's card, ready to be shown; None where something was not measured."""
    calibration = metrics.get("calibration")
    return {
        "results_table": _results(metrics),
        "others_table": _others(name, metrics),
        "calibration_table": _calibration(calibration) if calibration else None,
        "merging": (calibration or {}).get("merge_at_99"),
        "temperature": (calibration or {}).get("temperature"),
        "weakest": weakest(metrics),
        "offline_table": _offline(benchmark) if benchmark else None,
        "online_table": _online(benchmark) if benchmark else None,
        "share": share,
        "percent": percent,
    }


def share(metric: dict | None, digits: int = 2) -> str:
    """Return a number with its interval, "-" where there is none."""
    return f"{metric['value']:.{digits}f} ({metric['low']:.{digits}f}-{metric['high']:.{digits}f})" if metric else "-"


def percent(metric: dict | None) -> str:
    """Return a share with its interval in per cent."""
    return f"{metric['value']:.0%} ({metric['low']:.0%}-{metric['high']:.0%})" if metric else "-"


def bounds(metric: dict) -> str:
    """Return the interval of a number alone."""
    return f"{metric['low']:.2f}-{metric['high']:.2f}"


def weakest(metrics: dict, count: int = 5, pairs: int = 3) -> list[str]:
    """Return the slices with the lowest accuracy below 1, of at least `pairs` pairs, as "`twin` 0.43 (7 pairs)"."""
    parts = [item for item in (metrics.get("slices") or {}).items() if item[1]["pairs"] >= pairs and item[1]["accuracy"]["value"] < 1]
    parts.sort(key=lambda item: item[1]["accuracy"]["value"])
    return [f"{_code(name)} {part['accuracy']['value']:.2f} ({part['pairs']} pairs)" for name, part in parts[:count]]


def size_category(pairs: int) -> str:
    """Return the Hub's name for a size."""
    return next((name for limit, name in SIZES if pairs < limit), "n>10M")


def splits(summary: dict) -> str:
    """Return the pairs and decisions of each split."""
    rows = [[hub, (part := summary["splits"][ours])["pairs"], *(part["decisions"][label] for label in LABELS)] for hub, ours in SPLIT_NAMES.items()]
    return _table(rows, ["split", "pairs", *LABELS])


def slices(summary: dict) -> str:
    """Return how many pairs of each kind the splits hold."""
    parts = [summary["splits"][ours]["slices"] for ours in SPLIT_NAMES.values()]
    return _table([[_code(name), *(part.get(name, 0) for part in parts)] for name in sorted(set().union(*parts))], ["slice", *SPLIT_NAMES])


def _results(metrics: dict) -> str:
    rows = [[title, share(metrics[key])] for key, title in {**ROWS, **ROBUSTNESS}.items() if metrics.get(key)]
    rows += [[title, f"{metrics[key]:.1%}"] for key, title in SHARES.items() if metrics.get(key) is not None]
    return _table([*rows, ["pairs", metrics["pairs"]]], ["on the test split", "value (95% interval)"])


def _others(name: str, metrics: dict) -> str | None:
    """Return macro F1 of base model and baselines on the same test split, the best first; None where there are none."""
    rows = [("**this model**", metrics)]
    for path in sorted(EVIDENCE.glob("*/metrics.json")):
        if path.parent.name == f"{name}-base" or path.parent.name.startswith("baseline-"):
            other = json.loads(path.read_text(encoding="utf-8"))
            if (other.get("inputs") or {}).get("data_sha256") == metrics["inputs"]["data_sha256"]:
                rows.append((path.parent.name.removeprefix("baseline-"), other))
    rows.sort(key=lambda row: -row[1]["macro_f1"]["value"])
    shown = [[title, share(other["macro_f1"]), share(other.get("precision_duplicate"))] for title, other in rows]
    return _table(shown, ["on the same pairs", "macro F1", "precision DUPLICATE"]) if len(rows) > 1 else None


def _calibration(calibration: dict) -> str:
    rows = [[title, share(calibration.get(key), 3)] for key, title in CALIBRATION.items() if calibration.get(key)]
    return _table(rows, ["calibration", "value (95% interval)"])


def _offline(benchmark: dict) -> str | None:
    rows = [
        [title, _number(arm.get("pairs_per_second")), _number(arm.get("output_tokens_per_second")), _share(arm.get("valid_json"))]
        for key, title in ARMS.items()
        if (arm := (benchmark.get("offline") or {}).get(key))
    ]
    return _table(rows, ["all pairs at once", "pairs/s", "output tokens/s", "valid JSON"]) if rows else None


def _online(benchmark: dict) -> str | None:
    rows = [
        [
            *(run["concurrency"], _number(run.get("pairs_per_second"))),
            *(_number((run.get(kind) or {}).get(at)) for kind in ("ttft_ms", "tpot_ms", "e2el_ms") for at in ("p50", "p99")),
        ]
        for run in benchmark.get("online") or []
    ]
    heads = ["requests at once", "pairs/s", *(f"{kind} {at}, ms" for kind in ("TTFT", "TPOT", "E2EL") for at in ("p50", "p99"))]
    return _table(rows, heads) if rows else None


def _number(metric: dict | None) -> str:
    """Return the median of repeats with their range, three digits each."""
    if not metric or metric.get("value") is None:
        return "-"
    return "{} ({}-{})".format(*(f"{metric[key]:,.0f}" if metric[key] >= 100 else f"{metric[key]:.3g}" for key in ("value", "low", "high")))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _code(name: str) -> str:
    """Return a name as code that cannot leave its cell, whatever it holds."""
    return "`" + "".join(" " if char in "`|\n\r" else char for char in name) + "`"


def _table(rows: list[list], heads: list[str]) -> str:
    from tabulate import tabulate

    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)
