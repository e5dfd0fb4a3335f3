"""Summarise the learning curve: ``.venv/bin/python scripts/experiments/learning_curve_summary.py``, in seconds, on a CPU.

Reads what `learning_curve.py` and `learning_rivals.py` wrote, and writes ``results/learning.json`` and ``docs/pictures/learning_curve.png``.
"""

import argparse
import importlib.metadata
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import learning_curve
import learning_data
import match_peers
import numpy as np
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from crm_dedup_plugin.evaluation.documents import BENCHMARKS
from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.learning.calibrate import Prior, Vector, calibrate, probabilities
from crm_dedup_plugin.learning.compare import log_loss
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.policy import comparison
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.reporting import figures
from crm_dedup_plugin.storage import save_figure, write_atomically

RESULTS, PICTURE = Path("results/learning.json"), Path("docs/pictures/learning_curve.png")
RIVALS = Path("outputs/learning/rivals.json")
CALIBRATED, LINE, TUNED, SPLINK = "calibrated", "slope and bias alone", "tuned", "Splink"
WIDTHS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)  # of the prior of a weight


def read(mark: str) -> dict | None:
    """Return what a training left, if it was done."""
    path = learning_curve.OUT / f"{mark}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def ours(path: Path, prior: Prior) -> Iterator[dict]:
    """Yield the F1 of this package's ways on a set, by draw and number of labels."""
    pairs, name = learning_data.load(path), path.stem
    y, z = np.array([pair.label for pair in pairs]) == 1, np.array(read(f"{name}-before")["z"])
    vectors = [comparison.vector(*pair.records) for pair in pairs]
    for draw in range(learning_data.DRAWS):
        divided = learning_data.divide(name, pairs, draw)
        test = divided.test

        def told(labels: int, who: str, odds: np.ndarray, test=test, divided=divided, draw=draw) -> dict:
            f1 = learning_data.f1(y[test], odds >= 0, divided.weight)
            return {"set": name, "draw": draw, "labels": labels, "who": who, "f1": f1, "auroc": float(roc_auc_score(y[test], odds))}

        yield told(0, CALIBRATED, z[test])
        yield told(0, TUNED, z[test])
        for count in learning_data.COUNTS:
            labels = learning_data.labelled(name, divided, z, draw, count)
            if labels is None:
                continue
            yield told(count, CALIBRATED, margin(z, y, labels, test, prior, vectors))
            yield told(count, LINE, margin(z, y, labels, test, prior))
            if tuned := read(f"{name}-{draw}-{count}"):
                assert tuned["labels"] == labels.tolist() and tuned["asked"] == test.tolist(), "made from other labels: run learning_curve.py again"
                odds = np.array(tuned["z"])
                yield told(count, TUNED, odds)


def margin(z: np.ndarray, y: np.ndarray, labels: np.ndarray, test: np.ndarray, prior: Prior, vectors: Sequence[Vector] = ()) -> np.ndarray:
    """Return the log-odds of the tested pairs by a calibration on the labelled ones."""
    learned, asked = ([vectors[at] for at in part] if vectors else [] for part in (labels, test))
    return logit(probabilities(z[test], calibrate(z[labels], y[labels], prior, learned), asked))


def widths(files: list[Path], prior: Prior) -> list[dict]:
    """Return what each width of the weights' prior is worth with 50 labels: the mean F1 at even odds and log-loss over sets and draws."""
    found: dict[float, list] = {}
    for path in files:
        pairs = learning_data.load(path)
        y, z = np.array([pair.label for pair in pairs]) == 1, np.array(read(f"{path.stem}-before")["z"])
        vectors = [comparison.vector(*pair.records) for pair in pairs]
        for draw in range(learning_data.DRAWS):
            divided = learning_data.divide(path.stem, pairs, draw)
            labels, test = learning_data.labelled(path.stem, divided, z, draw, 50), divided.test
            for width in WIDTHS:
                odds = margin(z, y, labels, test, prior._replace(weight_width=width), vectors)
                loss = np.average(log_loss(y[test], expit(odds)), weights=np.where(y[test], 1, divided.weight))
                found.setdefault(width, []).append((learning_data.f1(y[test], odds >= 0, divided.weight), loss))
    return [{"width": width, "f1": float(f1), "log_loss": float(loss)} for width, (f1, loss) in ((w, np.mean(v, axis=0)) for w, v in found.items())]


def settings(files: list[Path]) -> list[dict]:
    """Return the mean F1 at even odds and AUROC of each setting, over the sets and draws that all settings have."""
    found: dict[str, dict] = {}
    for path in files:
        pairs = learning_data.load(path)
        y = np.array([pair.label for pair in pairs]) == 1
        for draw in range(3):
            divided = learning_data.divide(path.stem, pairs, draw)
            before = np.array(read(f"{path.stem}-before")["z"])[divided.test]
            for number, name in [(None, "before"), *enumerate(learning_curve.SETTINGS)]:
                one = {"z": before} if number is None else read(f"{path.stem}-{draw}-50-settings{number}")
                if one:
                    odds, same = np.array(one["z"]), y[divided.test]
                    f1 = learning_data.f1(same, odds >= 0, divided.weight)
                    found.setdefault(name, {})[path.stem, draw] = (f1, roc_auc_score(same, odds))
    common = set.intersection(*map(set, found.values())) if found else set()
    means = {name: np.mean([values[key] for key in sorted(common)], axis=0) for name, values in found.items()}
    return [{"settings": name, "draws": len(common), "f1": float(f1), "auroc": float(auroc)} for name, (f1, auroc) in means.items()]


def by_set(entries: list[dict]) -> dict[tuple[str, int, str], float]:
    """Return the mean F1 over the draws, by set, labels and who."""
    found: dict[tuple[str, int, str], list[float]] = {}
    for one in entries:
        found.setdefault((one["set"], one["labels"], one["who"]), []).append(one["f1"])
    return {key: float(np.mean(values)) for key, values in found.items()}


def means(entries: list[dict]) -> tuple[list[str], dict[str, dict[int, float]]]:
    """Return the sets that all could be measured on with each number of labels, and who reaches which mean F1 over them."""
    table, counts = by_set(entries), (0, *learning_data.COUNTS)
    who, sets = sorted({key[2] for key in table}), sorted({key[0] for key in table})
    shared = [one for one in sets if all((one, count, name) in table for count in counts[1:] for name in who if name != SPLINK)]
    found = {name: {count: [table[one, count, name] for one in shared if (one, count, name) in table] for count in counts} for name in who}
    return shared, {
        name: {count: float(np.mean(values)) for count, values in line.items() if len(values) == len(shared)} for name, line in found.items()
    }


@figures.style()
def draw(entries: list[dict]) -> None:
    """Draw the mean F1 over the number of labels."""
    figure, axes = figures.axes_of(figures.WIDTH, 3.2)
    shared, lines = means(entries)
    counts = (0, *learning_data.COUNTS)
    own, rivals = [name for name in (CALIBRATED, TUNED) if name in lines], [name for name in lines if name not in (TUNED, CALIBRATED, LINE)]
    for names, colors, width, dashes in ((own, figures.COLORS, 2.2, "-"), (rivals, figures.GREYS + figures.COLORS[2:], 1.1, "--")):
        for number, name in enumerate(names):
            values = lines[name]
            label = f"this package, {name}" if name in own else name
            style = {"color": colors[number], "linewidth": width, "linestyle": dashes, "marker": figures.MARKERS[number], "markersize": 4}
            axes.plot([counts.index(count) for count in values], list(values.values()), label=label, **style)
    axes.set_xticks(range(len(counts)), list(map(str, counts)))
    axes.set_xlabel("labels of the set's own")
    axes.set_ylabel(f"F1, mean over {len(shared)} public sets")
    figures.legend_below(figure, axes)
    save_figure(figure, PICTURE)


def main() -> None:
    """Read, summarise, write, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=Path, default=os.environ.get(BENCHMARKS), help=f"the folder of the public sets; or set {BENCHMARKS}")
    parser.add_argument("--settings", type=Path, default=Path("outputs/learning/sets"), help="the folder of the sets on which settings are chosen")
    options = parser.parse_args()
    files = sorted(options.sets.glob("*.jsonl"))
    prior = Prior(slope=1 / Calibration.of(str(embedded.folder())).temperature)
    entries = [one for path in files for one in ours(path, prior)] + json.loads(RIVALS.read_text(encoding="utf-8"))
    told = {
        "model": f"embedded {embedded.CHECKSUM.read_text(encoding='utf-8')[:16]}",
        "seed": learning_curve.Tuning().seed,
        "data": {path.name: digest([path]) for path in files},
        "trained": json.loads((learning_curve.OUT / learning_curve.ENVIRONMENT).read_text(encoding="utf-8")),
        "rivals": {package: importlib.metadata.version(package) for package in ("scikit-learn", "rapidfuzz", "splink")}
        | {"dedupe": match_peers.version("dedupe")},
        "command": "scripts/experiments/learning_curve.py, learning_rivals.py, then learning_curve_summary.py",
        "settings": settings(sorted(options.settings.glob("*.jsonl"))),
        "weight_widths": widths(sorted(options.settings.glob("*.jsonl")), prior),
        "curve": entries,
    }
    write_atomically(RESULTS, json.dumps(told, indent=1) + "\n")
    draw(entries)


if __name__ == "__main__":
    main()
