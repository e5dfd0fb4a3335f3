"""Numbers and tables of `held_out_families.py`: every set by models that have learned nothing of its family.

Threshold and best threshold are of F1. Intervals are over pairs and trainings together: each resample draws pairs, and one training.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import learning_data
import list_evidence
import numpy as np
from tabulate import tabulate

from crm_dedup_plugin.dataset.families import of_file
from crm_dedup_plugin.evaluation import documents, linking
from crm_dedup_plugin.evaluation.calibration import auroc
from crm_dedup_plugin.storage import write_atomically

RESULTS = Path("results/families.json")
LISTS = documents.LISTS.stem
RESAMPLES, SEED = 500, 7
RARE = 0.05  # the share of pairs of one entity among a user's candidates may be as low
CLOSE = 0.005  # of F1: as good as the best of the others


OURS, BOOSTING, BOTH = "model, real sources too", "boosting, real sources too", "model and boosting, real sources too"
COLUMNS, EVIDENCE, WITHOUT_EXPORTS = "model, evidence and columns", "model and evidence", "model and evidence of public files alone"
COLUMNS_WITHOUT_EXPORTS = "the same, and columns"
KINDS = (COLUMNS, OURS, BOOSTING)
MORE = (EVIDENCE, WITHOUT_EXPORTS, COLUMNS_WITHOUT_EXPORTS, "model, generated pairs alone", BOTH)  # in the table of means alone
SHOWN = {"AUROC": "auroc", "F1": "f1", "at best": "best_f1"}
OTHERS = {"strings": "baseline-strings", "Splink": "baseline-splink", "policy": "baseline-policy"}  # F1 of links
RIVALS = ("strings", "Splink")  # of `OTHERS`, those that are no part of how the model was taught


class Scored(NamedTuple):
    """What one training says: the log-odds of each set, its labels, the threshold from the lists, and where it comes from."""

    odds: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    threshold: float
    about: dict


def load(path: Path) -> Scored:
    """Return what `held_out_families.py` kept."""
    with np.load(path) as file:
        odds, labels = ({key.partition(" ")[2]: file[key] for key in file if key.startswith(kind)} for kind in ("odds", "labels"))
    return Scored(odds, labels, linking.best_threshold(labels[LISTS], odds[LISTS]), json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))


def load_all(folder: Path) -> list[Scored]:
    """Return all that is kept in a folder."""
    return [load(path) for path in sorted(folder.glob("*.npz"))]


def f1(labels: np.ndarray, said: np.ndarray, prevalence: float | None = None) -> float:
    """Return F1; with `prevalence`, pairs of two entities count as if those of one were that share of all."""
    weight = 1.0 if prevalence is None else labels.sum() / max((~labels).sum(), 1) * (1 - prevalence) / prevalence
    return learning_data.f1(labels, said, weight) if labels.any() else 0.0


def best_f1(labels: np.ndarray, odds: np.ndarray) -> float:
    """Return F1 at the threshold that is best for these very pairs."""
    return f1(labels, odds >= linking.best_threshold(labels, odds))


NUMBERS: dict[str, Callable[[np.ndarray, np.ndarray, float], float]] = {
    "auroc": lambda labels, odds, threshold: auroc(labels, odds),
    "f1": lambda labels, odds, threshold: f1(labels, odds >= threshold),
    "best_f1": lambda labels, odds, threshold: best_f1(labels, odds),
    "rare_f1": lambda labels, odds, threshold: f1(labels, odds >= threshold, RARE),
}


def held_out(scored: list[Scored], stem: str) -> list[Scored]:
    """Return the trainings that have learned nothing of the family of a set."""
    return [one for one in scored if not of_file(Path(stem), one.about["families"])]


def measure(trainings: list[Scored], stem: str) -> dict[str, dict]:
    """Return each number of a set: the mean over trainings, their least and most, and an interval."""
    rng, found = np.random.default_rng(SEED), {}
    labels = trainings[0].labels[stem].astype(bool)
    draws = [(rng.integers(0, len(labels), len(labels)), trainings[rng.integers(len(trainings))]) for _ in range(RESAMPLES)]
    draws = [(at, one) for at, one in draws if 0 < labels[at].sum() < len(at)]
    for name, number in NUMBERS.items():
        each = [number(labels, one.odds[stem], one.threshold) for one in trainings]
        drawn = [number(labels[at], one.odds[stem][at], one.threshold) for at, one in draws]
        low, high = np.percentile(drawn, (2.5, 97.5))
        found[name] = {"value": float(np.mean(each)), "low": float(low), "high": float(high), "least": min(each), "most": max(each)}
    return found


def together(models: list[Scored], others: list[Scored]) -> list[Scored]:
    """Return the mean of the log-odds of each model and of what learned from the same families."""
    found = []
    for one, other in ((one, other) for one in models for other in others if one.about["families"] == other.about["families"]):
        odds = {stem: (one.odds[stem] + other.odds[stem]) / 2 for stem in one.odds}
        about = {**one.about, "name": f"{one.about['name']} and {other.about['name']}"}
        found.append(Scored(odds, one.labels, linking.best_threshold(one.labels[LISTS], odds[LISTS]), about))
    return found


def kind_of(one: Scored) -> str:
    """Return what a training is, and what it has learned from."""
    return f"{one.about['what']}, {'real sources too' if one.about['families'] else 'generated pairs alone'}"


def taught(models: list[Scored], files: list[Path]) -> dict[Path, list_evidence.Taught]:
    """Return what public files can teach about evidence, beside the log-odds of models that have seen nothing of their families."""
    return {path: list_evidence.public(path, [one.odds[path.stem] for one in held_out(models, path.stem)]) for path in files}


def with_evidence(
    models: list[Scored], sets: dict[Path, list_evidence.Taught], exports: Sequence[list_evidence.Taught] = (), columns: bool = False
) -> list[Scored]:
    """Return the log-odds of each model with what evidence is worth in the files of other families, and in `exports`.

    With `columns`, those of a file also say what they show without any label.
    """
    found = [{} for _ in models]
    families = sorted({name for one in models for name in one.about["families"]})
    for path, one in sets.items():
        family = of_file(path, families) or path.stem
        fit = list_evidence.teach([*(other for there, other in sets.items() if not there.stem.startswith(family)), *exports])
        for odds, model in zip(found, models, strict=True):
            odds[path.stem] = list_evidence.weigh(model.odds[path.stem], fit, one.vectors, one.levels if columns else ())
    return [Scored(odds, model.labels, 0.0, model.about) for odds, model in zip(found, models, strict=True)]


def ahead(ours: list[Scored], theirs: list[Scored], stem: str) -> dict[str, float]:
    """Return by how much our F1 is above theirs on the same pairs, with an interval over pairs and trainings."""
    rng, labels = np.random.default_rng(SEED), ours[0].labels[stem].astype(bool)
    drawn = []
    for _ in range(RESAMPLES):
        at = rng.integers(0, len(labels), len(labels))
        mine, other = ours[rng.integers(len(ours))], theirs[rng.integers(len(theirs))]
        drawn.append(f1(labels[at], mine.odds[stem][at] >= mine.threshold) - f1(labels[at], other.odds[stem][at] >= other.threshold))
    return {"value": float(np.mean(drawn)), "low": float(np.percentile(drawn, 2.5)), "high": float(np.percentile(drawn, 97.5))}


def summarise(folder: Path, files: list[Path]) -> None:
    """Write ``results/families.json`` from the scores in `folder` and the pairs of the public files."""
    scored, kinds = load_all(folder), {}
    for one in scored:
        kinds.setdefault(kind_of(one), []).append(one)
    if both := together(kinds.get(OURS, []), kinds.get(BOOSTING, [])):
        kinds[BOTH] = both
    sets = taught(kinds.get(OURS, []), files)
    kinds[EVIDENCE] = with_evidence(kinds.get(OURS, []), sets, list_evidence.exports())
    kinds[WITHOUT_EXPORTS] = with_evidence(kinds.get(OURS, []), sets)
    kinds[COLUMNS] = with_evidence(kinds.get(OURS, []), sets, list_evidence.exports(), columns=True)
    kinds[COLUMNS_WITHOUT_EXPORTS] = with_evidence(kinds.get(OURS, []), sets, columns=True)
    found = {}
    for stem in (name for name in scored[0].odds if name != LISTS):
        there = {kind: usable for kind, ones in kinds.items() if (usable := held_out([one for one in ones if stem in one.odds], stem))}
        found[stem] = {kind: {"trainings": [one.about["name"] for one in ones], **measure(ones, stem)} for kind, ones in there.items()}
        if {OURS, BOOSTING} <= there.keys():
            found[stem]["ahead of boosting"] = ahead(there[OURS], there[BOOSTING], stem)
        if {COLUMNS, BOOSTING} <= there.keys():
            found[stem]["ahead of boosting, with columns"] = ahead(there[COLUMNS], there[BOOSTING], stem)
        found[stem]["pairs"] = len(next(iter(there.values()))[0].labels[stem])
    write_atomically(
        RESULTS, json.dumps({"sets": found, "from": [one.about for one in scored], "resamples": RESAMPLES, "seed": SEED}, indent=2) + "\n"
    )
    print(by_set(RESULTS), means(RESULTS), sep="\n\n")


def by_set(results: Path) -> str:
    """Return the table of AUROC, F1 as shipped and F1 at the best threshold of each public set, by kind, with the other baselines' F1 of links."""
    found = json.loads(results.read_text(encoding="utf-8"))
    sets = {stem: found["sets"][stem] for stem in found["from"][0]["public"]}
    kinds = [kind for kind in KINDS if any(kind in one for one in sets.values())]
    heads = ["", "pairs", *(f"{kind}: {what}" for kind in kinds for what in SHOWN), *OTHERS]
    links = _links(results)
    rows = [
        [stem, f"{one['pairs']:,}", *(_shown(one.get(kind), what) for kind in kinds for what in SHOWN.values())]
        + [f"{link[stem]:.3f}" for link in links.values()]
        for stem, one in sets.items()
    ]
    means = [np.mean([one[kind][what]["value"] for one in sets.values() if kind in one]) for kind in kinds for what in SHOWN.values()]
    means += [np.mean([link[stem] for stem in sets]) for link in links.values()]
    return tabulate([*rows, ["mean", "", *(f"{mean:.3f}" for mean in means)]], headers=heads, tablefmt="github", disable_numparse=True)


def means(results: Path) -> str:
    """Return the means over the public sets by kind, and on how many its F1 is above the best of `RIVALS`, or less than `CLOSE` below."""
    found = json.loads(results.read_text(encoding="utf-8"))
    sets = {stem: found["sets"][stem] for stem in found["from"][0]["public"]}
    links = _links(results)
    best = {stem: max(one[BOOSTING]["f1"]["value"], *(links[name][stem] for name in RIVALS)) for stem, one in sets.items() if BOOSTING in one}
    rows = []
    for kind in (*KINDS, *MORE):
        if not all(kind in one for one in sets.values()):
            continue
        numbers = [f"{np.mean([one[kind][what]['value'] for one in sets.values()]):.3f}" for what in NUMBERS]
        near = sum(one[kind]["f1"]["value"] > best.get(stem, 1) - CLOSE for stem, one in sets.items())
        rows.append([kind, *numbers, "-" if kind == BOOSTING or len(best) < len(sets) else f"{near} of {len(sets)}"])
    heads = ["", "AUROC", "F1", "at best", "F1, 5% of one entity", f"not behind boosting, {' and '.join(RIVALS)}"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def _links(results: Path) -> dict[str, dict[str, float]]:
    """Return the F1 of links of the baselines `OTHERS`, by set."""
    told = {name: json.loads((results.parent / folder / "metrics.json").read_text(encoding="utf-8")) for name, folder in OTHERS.items()}
    return {name: {stem: one["f1"]["value"] for stem, one in found["linking"]["slices"].items()} for name, found in told.items()}


def populations(results: Path) -> str:
    """Return the mean of each way to make pairs, from ``results/populations.json``, with the least and the most of its samples."""
    found = json.loads(results.read_text(encoding="utf-8"))
    groups = {"public files": found["public"], "other lists": sorted(set(found["sets_sha256"]) - {*found["public"], LISTS})}
    heads = ["pairs", *(f"{title}, {what}" for title in groups for what in SHOWN)]
    rows = []
    for way, runs in found["runs"].items():
        means = [[np.mean([run[name][what] for name in names]) for run in runs] for names in groups.values() for what in SHOWN.values()]
        rows.append([way, *(f"{np.mean(each):.3f} ({min(each):.3f}-{max(each):.3f})" for each in means)])
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def _shown(one: dict | None, what: str) -> str:
    return f"{one[what]['value']:.3f} ({one[what]['low']:.3f}-{one[what]['high']:.3f})" if one else "-"
