"""The tables of ``results/learning.json`` for the documents."""

import json
import statistics
from pathlib import Path

from tabulate import tabulate

OURS = ("calibrated", "slope and bias alone", "tuned")
AT = 50  # labels of the table by set
CLOSE = 0.005  # of F1: as good as the best of the others


def curve(results: Path) -> str:
    """Return the mean F1 over the sets on which all could be measured, by the number of labels."""
    entries = json.loads(results.read_text(encoding="utf-8"))["curve"]
    counts, who = sorted({one["labels"] for one in entries}), _names(entries)
    shared = [
        name for name in _sets(entries) if all(_f1(entries, name, count, one) is not None for count in counts[1:] for one in ("calibrated", "tuned"))
    ]
    rows = []
    for one in who:
        cells = []
        for count in counts:
            found = [_f1(entries, name, count, one) for name in shared]
            cells.append(f"{statistics.mean(found):.3f}" if None not in found else "-")
        rows.append([_named(one), *cells])
    heads = [f"F1, mean of {len(shared)} sets", *(f"{count} labels" for count in counts)]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def by_set(results: Path) -> str:
    """Return what each way reaches on each set with `AT` labels, its mean and standard deviation over the draws."""
    entries = json.loads(results.read_text(encoding="utf-8"))["curve"]
    who = _names(entries)
    rows = []
    for name in _sets(entries):
        cells = [_told(entries, name, AT, one) for one in who]
        rows.append([name, _told(entries, name, 0, "calibrated"), *cells])
    return tabulate(rows, headers=["set", "no label", *map(_named, who)], tablefmt="github", disable_numparse=True)


def settings(results: Path) -> str:
    """Return what the settings that were compared are worth, on sets that no result is about."""
    found = json.loads(results.read_text(encoding="utf-8"))["settings"]
    rows = [[one["settings"], f"{one['f1']:.3f}", f"{one['auroc']:.3f}"] for one in found]
    return tabulate(rows, headers=["settings", f"F1, mean of {found[0]['draws']} draws", "AUROC"], tablefmt="github", disable_numparse=True)


def sentence(results: Path) -> str:
    """Return in one sentence what fifty labels are worth."""
    entries = json.loads(results.read_text(encoding="utf-8"))["curve"]
    rivals, sets = [one for one in _names(entries) if one not in OURS], _sets(entries)
    learned, before = ({name: _f1(entries, name, count, "calibrated") for name in sets} for count in (AT, 0))
    best = {name: max(found for one in rivals if (found := _f1(entries, name, AT, one)) is not None) for name in sets}
    ahead, close = sum(learned[name] > best[name] for name in sets), sum(learned[name] >= best[name] - CLOSE for name in sets)
    means = [statistics.mean(values.values()) for values in (before, learned, best)]
    return (
        f"On {len(sets)} public sets, {AT} answers raise the mean F1 of a model trained on generated pairs alone from {means[0]:.2f} "
        f"to {means[1]:.2f}, in seconds. With as many answers, the best of the other methods on each set reaches {means[2]:.2f}; "
        f"this package is ahead of all of them on {ahead} sets, and within {CLOSE} of the best on {close}."
    )


def widths(results: Path) -> str:
    """Return what each width of the prior of the weights is worth, on sets that no result is about."""
    rows = [
        [f"{one['width']:g}", f"{one['f1']:.3f}", f"{one['log_loss']:.3f}"]
        for one in json.loads(results.read_text(encoding="utf-8"))["weight_widths"]
    ]
    return tabulate(rows, headers=["width", f"F1 with {AT} labels", "log-loss"], tablefmt="github", disable_numparse=True)


def _names(entries: list[dict]) -> list[str]:
    return [*OURS, *sorted({one["who"] for one in entries} - {*OURS})]


def _named(who: str) -> str:
    return f"this package, {who}" if who in OURS else who


def _sets(entries: list[dict]) -> list[str]:
    return sorted({one["set"] for one in entries})


def _values(entries: list[dict], name: str, labels: int, who: str) -> list[float]:
    return [one["f1"] for one in entries if (one["set"], one["labels"], one["who"]) == (name, labels, who)]


def _f1(entries: list[dict], name: str, labels: int, who: str) -> float | None:
    found = _values(entries, name, labels, who)
    return statistics.mean(found) if found else None


def _told(entries: list[dict], name: str, labels: int, who: str) -> str:
    found = _values(entries, name, labels, who)
    spread = f" ± {statistics.stdev(found):.2f}" if len(found) > 1 and labels else ""
    return f"{statistics.mean(found):.2f}{spread}" if found else "-"
