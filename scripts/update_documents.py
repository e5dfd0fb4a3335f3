"""Write the measured tables into the documents, from ``results/``.

    .venv/bin/python scripts/update_documents.py            after new results
    .venv/bin/python scripts/update_documents.py --check    exit with 1 if a document is out of date or says what is not so, and write nothing

A document is README.md, docs/*.md, data/README.md or results/*.md. Where it holds ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``,
the block of that name is put between the two. The comparison page of the committed results is written anew, too.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import quality

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.reporting import speed_tables
from crm_dedup_plugin.reporting.page import compare
from crm_dedup_plugin.reporting.tables import quality as quality_table
from crm_dedup_plugin.storage import EVIDENCE, write_atomically

sys.path.insert(0, str(Path(__file__).resolve().parent / "experiments"))

import ablation
import attack_targets
import decide_speed
import embedded_reduction
import engine_settings
import free_first
import held_out_tables
import learning_tables
import list_columns
import list_threshold
import mask_cost
import match_end_to_end
import match_tables
import scale_out
import training_speed

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "docs/*.md", "data/README.md", "results/*.md")
MARKS = re.compile(r"(<!-- ([\w -]+): begin -->\n)(.*?)(<!-- \2: end -->)", re.DOTALL)
DEMO = "demo"
SHAPES = tuple(f"{name}{weights}" for name in ("qwen3-4b", "llama32-3b", "phi4mini", "mistral7b") for weights in ("", "-fp8"))
OTHER_ENGINES = ("engines/two-engines.json", "engines/qwen3-4b-fp8-h200.json", "engines/smollm2-135m-before.json")
ENGINES = ("engines/embedded-h200.json", "engines/smollm2-135m.json", *(f"{name}/benchmark.json" for name in SHAPES))


def demo(results: Path) -> str:
    """Return the demo's table of base model, fine-tuned model and baselines, and what it took."""
    measured, training = quality.measured(results / DEMO), quality.training(results / DEMO)
    base, tuned = measured["base"], measured["fine-tuned"]
    gain = tuned["macro_f1"]["value"] - base["macro_f1"]["value"]
    return (
        f"{quality_table(measured)}\n\n"
        f"{tuned['pairs']} test pairs of entities that were not in training, with 95% intervals: macro F1 rises by {gain:.2f}. "
        f"Training took {training['seconds'] / 60:.0f} minutes on {training['machine']}, "
        f"the evaluations {base['seconds'] / 60:.1f} and {tuned['seconds'] / 60:.1f}.\n"
        f"{quality.compared(measured)} Weakest slices: {quality.weakest(tuned)}."
    )


def quickstart(results: Path) -> str:
    """Return the demo in a few lines, for the README."""
    measured = quality.measured(results / DEMO)
    return f"{quality.few(measured)}\n\n{quality.compared(measured)}"


def gpu(results: Path) -> str:
    """Return what all models and shapes reach on a GPU."""
    return speed_tables.overview([quality.load(results / name) for name in ENGINES])


def speed(results: Path) -> str:
    """Return the benchmark of the demo's model."""
    return speed_tables.benchmark(quality.load(results / DEMO / quality.MODELS["fine-tuned"] / "benchmark.json"))


def engines(results: Path) -> str:
    """Return every benchmark on a GPU."""
    return "\n\n".join(speed_tables.benchmark(quality.load(results / name)) for name in OTHER_ENGINES + ENGINES)


BLOCKS: dict[str, Callable[[Path], str]] = {
    "headline": lambda results: quality.headline(results, quality.load(results / ENGINES[0])),
    "quickstart": quickstart,
    "results": quality.full,
    "demo": demo,
    "speed": speed,
    "gpu": gpu,
    "overview": gpu,
    "engines": engines,
    "baselines": quality.hardness,
    "ablation": lambda results: ablation.table(results / "ablation.json"),
    "goals": quality.goals,
    "public": quality.public,
    "seeds": quality.seeds,
    "again": quality.again,
    "targets": lambda results: attack_targets.table(results / "attack_targets.json"),
    "targets before": lambda results: attack_targets.table(results / "other-recipes" / "smollm2-135m-5" / "attack_targets.json"),
    "masks": lambda results: mask_cost.table(results / "mask_cost.json"),
    "scale": lambda results: scale_out.table(results / "scale_out.json"),
    "training": lambda results: training_speed.table(results / "training_speed.json"),
    "embedded": quality.embedded,
    "reduction": lambda results: embedded_reduction.table(results / "embedded_reduction.json"),
    "free first": lambda results: free_first.table(results / "free_first.json"),
    "decide speed": lambda results: decide_speed.table(results / "decide_speed.json"),
    "families": lambda results: held_out_tables.by_set(results / "families.json"),
    "family means": lambda results: held_out_tables.means(results / "families.json"),
    "list columns": lambda results: list_columns.table(results / "list_columns.json"),
    "list threshold": lambda results: list_threshold.table(results / "list_threshold.json"),
    "populations": lambda results: held_out_tables.populations(results / "populations.json"),
    "matching": lambda results: match_tables.quality(results / "matching.json"),
    "answered": lambda results: match_tables.answered(results / "matching.json"),
    "blocking": lambda results: match_tables.blocking(results / "matching.json"),
    "match scale": lambda results: match_tables.scale(results / "match_scale.json"),
    "whole match": lambda results: match_end_to_end.table(results / "match_end_to_end.json"),
    "forecast": lambda results: match_end_to_end.forecast(results / "match_end_to_end.json"),
    "learned": lambda results: learning_tables.sentence(results / "learning.json"),
    "learning curve": lambda results: learning_tables.curve(results / "learning.json"),
    "learning by set": lambda results: learning_tables.by_set(results / "learning.json"),
    "learning widths": lambda results: learning_tables.widths(results / "learning.json"),
    "learning settings": lambda results: learning_tables.settings(results / "learning.json"),
    "tries": lambda results: engine_settings.tables(results / "tuning.json"),
}


def is_ahead(results: Path) -> bool:
    """Tell whether the fine-tuned model is better than every baseline on the same pairs."""
    found = quality.measured(results)
    ours, others = found["fine-tuned"], [found[title] for title in quality.BASELINES]
    same = all(one["inputs"]["data_sha256"] == ours["inputs"]["data_sha256"] for one in others)
    return same and max(one["macro_f1"]["high"] for one in others) < ours["macro_f1"]["low"]


def is_right_by_construction(results: Path) -> bool:
    """Tell whether the rules decide all generated pairs of the fine-tuned model as they are labelled."""
    ours, rules = (quality.load(results / name / "metrics.json") for name in (quality.MODELS["fine-tuned"], quality.RULES["policy"]))
    same = rules["inputs"]["data_sha256"] == ours["inputs"]["data_sha256"]
    return same and rules["accuracy"]["low"] == rules["tasks"]["crm_dedup_unseen"]["accuracy"]["low"] == 1


CLAIMS: dict[str, Callable[[Path], bool]] = {  # what the documents say in words
    "the fine-tuned model is better than similarity, boosting and Splink on the same generated pairs (README.md)": is_ahead,
    "the policy is right by construction on generated pairs (docs/results.md)": is_right_by_construction,
    "on some public sets the rules of the policy link best (docs/results.md)": lambda results: "| policy, links " in quality.public(results),
}


def update(text: str, results: Path) -> str:
    """Return a document with each named block filled; raises UserError on a name that is not in `BLOCKS`."""

    def fill(found: re.Match) -> str:
        if found[2] not in BLOCKS:
            raise UserError(f"there is no block named {found[2]!r}: use one of {', '.join(BLOCKS)}")
        return f"{found[1]}{BLOCKS[found[2]](results).rstrip()}\n{found[4]}"

    return MARKS.sub(fill, text)


def update_all(root: Path, check: bool = False) -> list[Path]:
    """Update the documents under `root` and return those that were out of date; with `check`, write nothing."""
    changed = []
    for path in sorted({path for pattern in DOCUMENTS for path in root.glob(pattern)}):
        text = path.read_text(encoding="utf-8")
        if (new := update(text, root / "results")) != text:
            changed.append(path)
            if not check:
                write_atomically(path, new)
    return changed


def main(argv: list[str] | None = None) -> int:
    """Update or check the documents of the repository; return 1 if a check found one that is out of date."""
    parser = argparse.ArgumentParser(description="Write the measured tables into the documents, from results/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a document is out of date")
    options = parser.parse_args(argv)
    try:
        false = [claim for claim, holds in CLAIMS.items() if not holds(ROOT / "results")]
        changed = [path.relative_to(ROOT).as_posix() for path in update_all(ROOT, options.check)]
        if not options.check:
            with contextlib.chdir(ROOT):
                compare(places=[EVIDENCE])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if changed and options.check:
        print(f"error: out of date: {', '.join(changed)}; run .venv/bin/python scripts/update_documents.py", file=sys.stderr)
    for claim in false:
        print(f"error: the results no longer show that {claim}: correct the sentence", file=sys.stderr)
    return int(bool(false) or (options.check and bool(changed)))


if __name__ == "__main__":
    sys.exit(main())
