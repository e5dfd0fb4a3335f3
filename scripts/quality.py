"""The measured tables of quality for README.md, data/README.md and results/quality.md, made from ``results/*/metrics.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml

from crm_dedup_plugin.reporting.results import find
from crm_dedup_plugin.reporting.tables import interval, precise, rate
from crm_dedup_plugin.reporting.tables import quality as quality_table
from crm_dedup_plugin.reporting.tables import table as _table

_SHOWN = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
MODELS, BASELINES, RULES, OTHERS, SEEDS = (_SHOWN[key] for key in ("models", "baselines", "rules", "others", "seeds"))
MEAN, UNSEEN = "mean of three", "macro F1, unseen kinds"
LINKED, MERGED = "public pairs: F1 of links, mean of files", "public pairs: F1 of merges, mean of files"
DASH = "-"
_WEAKEST = 4


def number(what: str, one: dict) -> dict | None:
    """Return a number of one training by its title; None where it was not measured."""
    if what.startswith("injections") and "linking" not in one:
        return None  # recipes up to the fifth were attacked otherwise, and nobody had linked anything then
    return find(one, _SHOWN["numbers"][what])


def measured(folder: Path) -> dict[str, dict]:
    """Return the metrics of the models and baselines of a folder that are there, by their titles."""
    return metrics(folder, {title: name for title, name in (MODELS | BASELINES).items() if (folder / name / "metrics.json").is_file()})


def load(path: Path) -> dict:
    """Return a file of results."""
    return json.loads(path.read_text(encoding="utf-8"))


def metrics(results: Path, names: dict[str, str]) -> dict[str, dict]:
    """Return the metrics in the folders `names`, by their titles."""
    return {title: load(results / name / "metrics.json") for title, name in names.items()}


def training(folder: Path) -> dict:
    """Return what is known of the training of the fine-tuned model."""
    return load(folder / MODELS["fine-tuned"] / "training.json")


def weakest(result: dict) -> str:
    """Return the slices that are decided worst."""
    accuracy = {name: part["accuracy"]["value"] for name, part in result["slices"].items()}
    return ", ".join(f"`{name}` {accuracy[name]:.2f}" for name in sorted(accuracy, key=accuracy.__getitem__)[:_WEAKEST])


def compared(found: dict[str, dict]) -> str:
    """Say which baselines beat the fine-tuned model on these pairs, and which it beats."""
    ours = found["fine-tuned"]["macro_f1"]["value"]
    better = [f"{title} ({found[title]['macro_f1']['value']:.2f})" for title in BASELINES if found[title]["macro_f1"]["value"] > ours]
    if not better:
        return f"Its macro F1 ({ours:.2f}) is above those of {' and '.join(BASELINES)}."
    return f"**On these pairs {' and '.join(better)} {'is' if len(better) == 1 else 'are'} better than the fine-tuned model ({ours:.2f}).**"


def headline(results: Path, speed: dict) -> str:
    """Return the few numbers that the README shows of the models and baselines; `speed` is a benchmark of the fine-tuned model."""
    found = measured(results)
    shown = {
        "macro F1": "macro F1",
        "precision DUPLICATE": "precision DUPLICATE",
        "macro F1, unseen kinds": UNSEEN,
        "F1 of links, public lists": LINKED,
    }
    arms = speed["offline"]
    fast = "{} ({} with one token)".format(*(rate(arms[arm]["pairs_per_second"]["value"]) for arm in ("full", "decision")))
    rows = [[title, *(interval(number(name, one)) for name in shown.values())] for title, one in found.items()]
    speeds = {"fine-tuned": fast, MEAN: "the same", "embedded": "the same"}
    return _table(["", *shown, f"pairs/s on one {speed['hardware']['name']}"], [[*row, speeds.get(row[0], DASH)] for row in rows])


def few(found: dict[str, dict]) -> str:
    """Return macro F1, the precision of DUPLICATE and the share of valid JSON of each model and baseline."""
    shown = ("macro F1", "precision DUPLICATE")
    valid = [DASH if (share := one.get("valid_json")) is None else f"{share:.0%}" for one in found.values()]
    rows = [[name, *(interval(number(name, one)) for one in found.values())] for name in shown]
    return _table(["", *found], [*rows, ["valid JSON", *valid]])


def full(results: Path) -> str:
    """Return what the model that was trained on the generated set reaches, on its kinds of pairs, on unseen ones, and on each public benchmark."""
    found, trained = measured(results) | metrics(results, RULES), training(results)
    tuned = found["fine-tuned"] = spanned(found["fine-tuned"], [*metrics(results, SEEDS).values()])
    calibration, unseen = tuned["calibration"], tuned["tasks"]["crm_dedup_unseen"]
    merges = calibration["merge_at_99"]
    links = {title: result["linking"] for title, result in found.items() if result.get("linking")}
    rows = [
        [name, part["pairs"], *(interval(one["slices"][name]["f1"]) for one in links.values())]
        for name, part in links["fine-tuned"]["slices"].items()
    ]
    rows.append(["mean", links["fine-tuned"]["pairs"], *(interval(one["mean_f1"]) for one in links.values())])
    elsewhere = {title: number(UNSEEN, part) for title, part in found.items() if title != "fine-tuned"}
    others = ", ".join(f"{title} {interval(value)}" for title, value in elsewhere.items() if value)
    answers = tuned["pairs"] + sum(task["pairs"] for task in tuned["tasks"].values())
    return (
        f"{quality_table(found)}\n\n"
        f"{tuned['pairs']} test pairs, 95% intervals; those of the fine-tuned model span {len(SEEDS) + 1} trainings with different seeds. "
        f"Training took {trained['seconds'] / 60:.0f} minutes on one {trained['machine']}, the "
        f"evaluation of {answers:,} answers {tuned['seconds'] / 60:.0f}. {compared(found)} "
        f"Macro F1 on {unseen['pairs']} pairs of unseen kinds: {interval(number(UNSEEN, tuned))} ({others}); **there "
        f"{interval(unseen['precision_duplicate'])} of its merges are right.** "
        f"Expected calibration error {interval(calibration['ece_calibrated'])} after scaling; at the threshold that validation gives for 99% "
        f"precision, {interval(merges['coverage'])} of the duplicates are merged without a person, and {interval(merges['precision'])} "
        f"of those {merges['merged']} merges are right. Weakest slices: {weakest(tuned)}.\n\n"
        f"F1 of links between public pairs, on which none of them was trained. Each method links pairs above one threshold, chosen on "
        f"{links['fine-tuned']['held_out']['pairs']:,} held-out generated pairs:\n\n"
        f"{_table(['', 'pairs', *links], rows)}"
    )


def embedded(results: Path) -> str:
    """Return the quality of the embedded model beside that of the full-size mean; each says on how many test pairs."""
    found = metrics(results, {title: MODELS[title] for title in ("embedded", MEAN)})
    shown = ("macro F1", "precision DUPLICATE", "calibration error, scaled", "coverage at 99% precision")
    rows = [["test pairs", *(f"{one['pairs']:,}" for one in found.values())]]
    return _table(["", *found], [*rows, *([name, *(interval(number(name, one)) for one in found.values())] for name in shown)])


def goals(results: Path) -> str:
    """Return each aim next to what was reached, by this and by other ways of training, and the weakest slices."""
    found = measured(results)
    tuned, boosting, best = found["fine-tuned"], found["boosting"], _best_of_others(results)
    ways = [tuned, *metrics(results, OTHERS).values()]

    def ahead(result: dict) -> str:
        mine = _slices(result)
        return str(sum(mine[name]["f1"]["value"] > best[name][1] for name in mine)) if mine else DASH

    def row(what: str, goal: str = DASH, baseline: bool = False) -> list[str]:
        return [what, goal, *(precise(number(what, one)) for one in ways), precise(number(what, boosting)) if baseline else DASH]

    rows = [
        row("macro F1", "0.93, and 0.05 above boosting", baseline=True),
        row(UNSEEN, baseline=True),
        row(LINKED, baseline=True),
        ["public files ahead of all baselines at their best", f"{len(best)} of {len(best)}", *map(ahead, ways), DASH],
        row(MERGED, baseline=True),
        row("records swapped: decisions changed", "below 0.005"),
        row("fields shuffled: decisions changed"),
        row("injections: decisions moved", "below 0.01"),
        row("injections obeyed"),
        row("reasonings whose every claim is true", "0.98"),
        row("the same, unseen kinds"),
        ["valid JSON", "1", *(f"{one['valid_json']:.3f}" for one in ways), DASH],
        row("calibration error, scaled", "below 0.02", baseline=True),
        row("coverage at 99% precision", "0.80", baseline=True),
        row("precision of these merges", "0.99", baseline=True),
        row("one token decides as the full answer"),
    ]
    heads = ["what", "goal", "now", *OTHERS, "boosting"]
    return f"{_table(heads, rows)}\n\nWeakest slices: {weakest(tuned)}.\n"


def public(results: Path) -> str:
    """Return the links in each public file: of the fine-tuned model, with other seeds, of the mean of all, and of the best baseline there."""
    found = measured(results)
    tuned, best = found["fine-tuned"], _best_of_others(results)
    more = metrics(results, SEEDS) | {MEAN: found[MEAN]}
    merged, rows = tuned["tasks"]["crm_dedup_public"]["slices"], []
    for name, mine in tuned["linking"]["slices"].items():
        values = [*(mine[key]["value"] for key in ("precision", "recall", "f1")), mine["auroc"], merged[name]["f1"]["value"]]
        values += [one["linking"]["slices"][name]["f1"]["value"] for one in more.values()]
        rows.append([name, *(f"{value:.2f}" for value in values), best[name][0], f"{best[name][1]:.2f}"])
    heads = ["", "precision", "recall", "F1", "AUROC", "F1 of merges", *(f"F1, {title}" for title in more), "best of the others", "its F1"]
    return _table(heads, rows)


def _slices(result: dict) -> dict[str, dict]:
    """Return the public files with the F1 of links, or of merges where nothing was linked; none where the model was trained on their families."""
    return (result.get("linking") or result["tasks"].get("crm_dedup_public") or {"slices": {}})["slices"]


def _best_of_others(results: Path) -> dict[str, tuple[str, float]]:
    """Return for each public file the baseline, or the rules, that do best there, and the F1: of links or of merges, whichever is higher."""
    best: dict[str, tuple[str, float]] = {}
    for title, result in metrics(results, BASELINES | RULES).items():
        for kind, part in (("links", result["linking"]), ("merges", result["tasks"]["crm_dedup_public"])):
            for name, one in part["slices"].items():
                best[name] = max(best.get(name, ("", -1.0)), (f"{title}, {kind}", one["f1"]["value"]), key=lambda pair: pair[1])
    return best


def seeds(results: Path) -> str:
    """Return what trainings with other seeds gave, beside the intervals of the model shown."""
    return _repeated(results, MODELS["fine-tuned"], SEEDS)


def again(results: Path) -> str:
    """Return what the same commands gave on another GPU, beside the intervals of the first."""
    first, *others = _SHOWN["again"].items()
    return _repeated(results, first[1], dict(others))


def _repeated(results: Path, first: str, others: dict[str, str]) -> str:
    """Return the numbers of one training with their intervals, and those of others with "in" where they lie within."""
    heads, (shown, *more) = ["", "the first", *others], metrics(results, {"the first": first, **others}).values()
    rows = []
    for what in _SHOWN["repeated"]:
        here, *there = map(partial(number, what), (shown, *more))
        within = (f"{one['value']:.3f}, {'in' if here['low'] <= one['value'] <= here['high'] else 'out'}" for one in there)
        rows.append([what, precise(here), *within])
    return _table(heads, rows)


def spanned(first: object, others: Sequence) -> object:
    """Return a result with each interval widened to those of other trainings: what another one should come within."""
    if not isinstance(first, dict) or not all(isinstance(other, dict) for other in others):
        return first
    if {"value", "low", "high"} <= first.keys():
        every = (first, *others)
        return first | {"low": min(one["low"] for one in every), "high": max(one["high"] for one in every)}
    return {key: spanned(part, [other.get(key) for other in others]) for key, part in first.items()}


def hardness(results: Path) -> str:
    """Return what the baselines and the rules reach on the full generated set, on unseen pairs and on public ones."""
    rows, names = [], ("baseline-majority", *(BASELINES | RULES).values())
    for name, found in metrics(results, {name.removeprefix("baseline-"): name for name in names}).items():
        noted = [part["accuracy"]["value"] for key, part in found["slices"].items() if key.startswith("note_")]
        plain = [part["accuracy"]["value"] for key, part in found["slices"].items() if not key.startswith("note_")]
        shares = [number(what, found) for what in ("macro F1", UNSEEN, MERGED, LINKED)]
        rows.append([name, *map(interval, shares), f"{sum(plain) / len(plain):.2f}", f"{sum(noted) / len(noted):.2f}"])
    heads = ["", "macro F1", "macro F1, unseen", "public: mean F1 of merges", "of links", "accuracy, mean of slices", "of `note_*` slices"]
    return _table(heads, rows)
