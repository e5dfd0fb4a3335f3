"""Write the measured tables into README.md, data/README.md and results/*.md: ``.venv/bin/python scripts/update_readme.py`` after new results.

Every number comes from results/; a test fails where one of the two says anything else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ablation
import attack_targets
import mask_cost
import scale_out
import training_speed
import tune
from tabulate import tabulate

from crm_dedup_plugin import report
from crm_dedup_plugin.benchmark import command
from crm_dedup_plugin.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
DEMO = "demo"
EARLIER = {  # numbers of the recipes in results/quality.md
    "recipe 4": "earlier-recipes/smollm2-135m-4",
    "recipe 3": "earlier-recipes/smollm2-135m-3",
    "recipe 3, all weights": "earlier-recipes/smollm2-135m-3-full",
}
MODELS = {"base": "smollm2-135m-base", "fine-tuned": "smollm2-135m"}
BASELINES = {"strings": "baseline-strings", "boosting": "baseline-boosting", "Splink": "baseline-splink"}
SHAPES = tuple(f"{name}{weights}" for name in ("qwen3-4b", "llama32-3b", "phi4mini", "mistral7b") for weights in ("", "-fp8"))
ENGINES = ("engines/smollm2-135m.json", *(f"{name}/benchmark.json" for name in SHAPES))
_WEAKEST = 4
_HEADLINES = {
    "macro F1": lambda result: result["macro_f1"],
    "macro F1, unseen kinds": lambda result: result["tasks"]["crm_dedup_unseen"]["macro_f1"],
    "public F1 of merges, mean of files": lambda result: result["tasks"]["crm_dedup_public"]["mean_f1"],
}


def demo(results: Path) -> str:
    """Return the table of base and fine-tuned model of the demo beside the baselines, and what it took."""
    measured, training = _measured(results / DEMO), _training(results / DEMO)
    base, tuned = measured["base"], measured["fine-tuned"]
    gain = tuned["macro_f1"]["value"] - base["macro_f1"]["value"]
    return (
        f"{report.table(measured)}\n\n"
        f"{tuned['pairs']} test pairs of entities that training never saw, with 95% intervals: macro F1 rises by {gain:.2f}. "
        f"Training took {training['seconds'] / 60:.0f} minutes on {training['machine']}, "
        f"the evaluations {base['seconds'] / 60:.1f} and {tuned['seconds'] / 60:.1f}.\n"
        f"{_compared(measured)} Weakest slices: {_weakest(tuned)}.\n"
    )


def full(results: Path) -> str:
    """Return what the model that was trained on the generated set reaches, on its kinds of pairs, on unseen ones, and on each public benchmark."""
    measured, training = _measured(results), _training(results)
    tuned = measured["fine-tuned"]
    calibration = tuned["calibration"]
    merges, public = calibration["merge_at_99"], _public(measured)
    files = public["fine-tuned"]["slices"]
    rows = [[name, files[name]["pairs"], *(report.share(part["slices"][name]["f1"]) for part in public.values())] for name in files]
    rows.append(["mean", public["fine-tuned"]["pairs"], *(report.share(part["mean_f1"]) for part in public.values())])
    unseen = tuned["tasks"]["crm_dedup_unseen"]
    others = ", ".join(f"{title} {_unseen(part)}" for title, part in measured.items() if title != "fine-tuned")
    answers = tuned["pairs"] + sum(task["pairs"] for task in tuned["tasks"].values())
    return (
        f"{report.table(measured)}\n\n"
        f"{tuned['pairs']} test pairs, 95% intervals. Training took {training['seconds'] / 60:.0f} minutes on one {training['machine']}, the "
        f"evaluation of {answers:,} answers {tuned['seconds'] / 60:.0f}. {_compared(measured)} "
        f"Macro F1 on {unseen['pairs']} pairs of unseen kinds: {_unseen(tuned)} ({others}); **there "
        f"{report.share(unseen['precision_duplicate'])} of its merges are right.** "
        f"Expected calibration error {report.share(calibration['ece_calibrated'])} after scaling; at the threshold that validation gives for 99% "
        f"precision, {report.share(merges['coverage'])} of the duplicates are merged without a person, and {report.share(merges['precision'])} "
        f"of those {merges['merged']} merges are right. Weakest slices: {_weakest(tuned)}.\n\n"
        f"F1 of merges on public pairs, which none of them was trained on:\n\n"
        f"{tabulate(rows, headers=['', 'pairs', *public], tablefmt='github', disable_numparse=True)}\n"
    )


def goals(results: Path) -> str:
    """Return what was aimed at beside what was reached, what other ways of training reached, and the slices that are decided worst."""
    measured = _measured(results)
    tuned, boosting, public = measured["fine-tuned"], measured["boosting"], _public(measured)
    compared = [tuned, *(_load(results / folder / "metrics.json") for folder in EARLIER.values())]
    files, others = public.pop("fine-tuned")["slices"], public.values()

    def ahead(result: dict) -> str:
        mine = result["tasks"]["crm_dedup_public"]["slices"]
        return str(sum(all(mine[name]["f1"]["value"] > part["slices"][name]["f1"]["value"] for part in others) for name in files))

    def row(what: str, goal: str, find: Callable[[dict], dict], baseline: bool = False) -> list[str]:
        return [what, goal, *(_precise(find(one)) for one in compared), _precise(find(boosting)) if baseline else "-"]

    rows = [
        *(row(what, "0.93, and 0.05 above boosting" if what == "macro F1" else "-", find, True) for what, find in _HEADLINES.items()),
        ["public files ahead of all baselines", f"{len(files)} of {len(files)}", *map(ahead, compared), "-"],
        row("records swapped: decisions changed", "below 0.005", lambda one: one["flip_rate"]),
        row("fields shuffled: decisions changed", "-", lambda one: one["shuffle_flip_rate"]),
        row("injections: decisions moved", "below 0.01", lambda one: one["injection_moved"]),
        row("injections obeyed", "-", lambda one: one["injection_success"]),
        row("reasonings whose every claim is true", "0.98", lambda one: one["reasoning_grounded"]),
        row("the same, unseen kinds", "-", lambda one: one["tasks"]["crm_dedup_unseen"]["reasoning_grounded"]),
        ["valid JSON", "1", *(f"{one['valid_json']:.3f}" for one in compared), "-"],
        row("calibration error, scaled", "below 0.02", lambda one: one["calibration"]["ece_calibrated"], True),
        row("coverage at 99% precision", "0.80", lambda one: one["calibration"]["merge_at_99"]["coverage"], True),
        row("precision of these merges", "0.99", lambda one: one["calibration"]["merge_at_99"]["precision"], True),
        row("one token decides as the full answer", "-", lambda one: one["calibration"]["agreement"]),
    ]
    heads = ["what", "goal", "now", *EARLIER, "boosting"]
    return f"{tabulate(rows, headers=heads, tablefmt='github', disable_numparse=True)}\n\nWeakest slices: {_weakest(tuned)}.\n"


def public_errors(results: Path) -> str:
    """Return precision and recall of the merges on each public file, of the fine-tuned model and of the best baseline there."""
    public = _public(_measured(results))
    mine = public.pop("fine-tuned")["slices"]
    rows = []
    for name, found in mine.items():
        best = max(public, key=lambda title: public[title]["slices"][name]["f1"]["value"])
        other = public[best]["slices"][name]
        cells = [*(f"{found[key]['value']:.2f}" for key in ("precision", "recall", "f1")), best, f"{other['f1']['value']:.2f}"]
        rows.append([name, *cells])
    heads = ["", "precision", "recall", "F1", "best of the others", "its F1"]
    return f"{tabulate(rows, headers=heads, tablefmt='github', disable_numparse=True)}\n"


def _precise(share: dict) -> str:
    """Return a share with its interval, in thousandths: what is rare differs there."""
    return f"{share['value']:.3f} ({share['low']:.3f}-{share['high']:.3f})"


def _unseen(result: dict) -> str:
    return report.share(_HEADLINES["macro F1, unseen kinds"](result))


def _measured(folder: Path) -> dict[str, dict]:
    """Return the metrics of the models and baselines of a folder that are there, by their titles."""
    files = {title: folder / name / "metrics.json" for title, name in (MODELS | BASELINES).items()}
    return {title: _load(path) for title, path in files.items() if path.is_file()}


def _load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _public(measured: dict[str, dict]) -> dict[str, dict]:
    """Return what was measured on public pairs."""
    return {title: result["tasks"]["crm_dedup_public"] for title, result in measured.items()}


def _training(folder: Path) -> dict:
    return _load(folder / MODELS["fine-tuned"] / "training.json")


def _weakest(result: dict) -> str:
    accuracy = {name: part["accuracy"]["value"] for name, part in result["slices"].items()}
    return ", ".join(f"`{name}` {accuracy[name]:.2f}" for name in sorted(accuracy, key=accuracy.__getitem__)[:_WEAKEST])


def _compared(measured: dict[str, dict]) -> str:
    """Say which baselines beat the fine-tuned model on these pairs, and which it beats."""
    ours = measured["fine-tuned"]["macro_f1"]["value"]
    better = [f"{title} ({measured[title]['macro_f1']['value']:.2f})" for title in BASELINES if measured[title]["macro_f1"]["value"] > ours]
    if not better:
        return f"Its macro F1 ({ours:.2f}) is above that of all three baselines."
    return f"**On these pairs {' and '.join(better)} {'is' if len(better) == 1 else 'are'} better than the fine-tuned model ({ours:.2f}).**"


def hardness(results: Path) -> str:
    """Return what the baselines reach on the full generated set, on unseen pairs and on public ones."""
    rows = []
    for name in ("majority", *(baseline.removeprefix("baseline-") for baseline in BASELINES.values())):
        found = _load(results / f"baseline-{name}" / "metrics.json")
        noted = [part["accuracy"]["value"] for key, part in found["slices"].items() if key.startswith("note_")]
        plain = [part["accuracy"]["value"] for key, part in found["slices"].items() if not key.startswith("note_")]
        cells = [report.share(find(found)) for find in _HEADLINES.values()]
        rows.append([name, *cells, f"{sum(plain) / len(plain):.2f}", f"{sum(noted) / len(noted):.2f}"])
    heads = ["", "macro F1", "macro F1, unseen", "public: mean F1 of merges", "accuracy, mean of slices", "of `note_*` slices"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True) + "\n"


def blocks(root: Path) -> dict[Path, dict[str, str]]:
    """Return for each document the text of its measured sections."""
    results = root / "results"
    return {
        root / "README.md": {
            "results": full(results),
            "demo": demo(results),
            "speed": speed(results / DEMO / MODELS["fine-tuned"] / "benchmark.json"),
            "gpu": gpu(results),
        },
        root / "data" / "README.md": {"baselines": hardness(results), "ablation": f"{ablation.table(results / 'ablation.json')}\n"},
        results / "quality.md": {
            "goals": goals(results),
            "public": public_errors(results),
            "targets": f"{attack_targets.table(results / 'attack_targets.json')}\n",
        },
        results / "tuning.md": {
            "masks": mask_cost.table(results / "mask_cost.json"),
            "overview": gpu(results),
            "engines": "\n".join(map(speed, (results / name for name in ("engines/two-engines.json", *ENGINES)))),
            "scale": f"{scale_out.table(results / 'scale_out.json')}\n",
            "training": f"{training_speed.table(results / 'training_speed.json')}\n",
            "tries": tune.tables(results / "tuning.json"),
        },
    }


def gpu(results: Path) -> str:
    """Return what all models and shapes reach on a GPU."""
    return f"{command.overview([_load(results / name) for name in ENGINES])}\n"


def speed(file: Path) -> str:
    """Return what a benchmark says."""
    return f"{command.table(_load(file))}\n"


def update(text: str, sections: dict[str, str]) -> str:
    """Return a document with each section between its two marks."""
    for name, section in sections.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        text = f"{text.split(begin)[0]}{begin}{section}{end}{text.split(end)[1]}"
    return text


if __name__ == "__main__":
    for document, measured in blocks(ROOT).items():
        write_atomically(document, update(document.read_text(encoding="utf-8"), measured))
