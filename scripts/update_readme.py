"""Write the measured tables into README.md, data/README.md and results/*.md: ``.venv/bin/python scripts/update_readme.py`` after new results.

Every number comes from results/; a test fails where one of the two says anything else.
"""

from __future__ import annotations

import sys
from pathlib import Path

import quality

from crm_dedup_plugin.reporting import quality_tables, speed_tables
from crm_dedup_plugin.storage import write_atomically

sys.path.insert(0, str(Path(__file__).resolve().parent / "experiments"))

import ablation
import attack_targets
import engine_settings
import mask_cost
import scale_out
import training_speed

ROOT = Path(__file__).resolve().parents[1]
DEMO = "demo"
SHAPES = tuple(f"{name}{weights}" for name in ("qwen3-4b", "llama32-3b", "phi4mini", "mistral7b") for weights in ("", "-fp8"))
OTHER_ENGINES = ("engines/two-engines.json", "engines/qwen3-4b-fp8-h200.json", "engines/smollm2-135m-before.json")
ENGINES = ("engines/smollm2-135m.json", *(f"{name}/benchmark.json" for name in SHAPES))


def demo(results: Path) -> str:
    """Return the table of base and fine-tuned model of the demo beside the baselines, and what it took."""
    measured, training = quality.measured(results / DEMO), quality.training(results / DEMO)
    base, tuned = measured["base"], measured["fine-tuned"]
    gain = tuned["macro_f1"]["value"] - base["macro_f1"]["value"]
    return (
        f"{quality_tables.table(measured)}\n\n"
        f"{tuned['pairs']} test pairs of entities that training never saw, with 95% intervals: macro F1 rises by {gain:.2f}. "
        f"Training took {training['seconds'] / 60:.0f} minutes on {training['machine']}, "
        f"the evaluations {base['seconds'] / 60:.1f} and {tuned['seconds'] / 60:.1f}.\n"
        f"{quality.compared(measured)} Weakest slices: {quality.weakest(tuned)}.\n"
    )


def blocks(root: Path) -> dict[Path, dict[str, str]]:
    """Return for each document the text of its measured sections."""
    results = root / "results"
    return {
        root / "README.md": {
            "results": quality.full(results),
            "demo": demo(results),
            "speed": speed(results / DEMO / quality.MODELS["fine-tuned"] / "benchmark.json"),
            "gpu": gpu(results),
        },
        root / "data" / "README.md": {"baselines": quality.hardness(results), "ablation": f"{ablation.table(results / 'ablation.json')}\n"},
        results / "quality.md": {
            "goals": quality.goals(results),
            "public": quality.public(results),
            "seeds": quality.seeds(results),
            "again": quality.again(results),
            "targets before": f"{attack_targets.table(results / 'other-recipes' / 'smollm2-135m-5' / 'attack_targets.json')}\n",
            "targets": f"{attack_targets.table(results / 'attack_targets.json')}\n",
        },
        results / "tuning.md": {
            "masks": mask_cost.table(results / "mask_cost.json"),
            "overview": gpu(results),
            "engines": "\n".join(map(speed, (results / name for name in OTHER_ENGINES + ENGINES))),
            "scale": f"{scale_out.table(results / 'scale_out.json')}\n",
            "training": f"{training_speed.table(results / 'training_speed.json')}\n",
            "tries": engine_settings.tables(results / "tuning.json"),
        },
    }


def gpu(results: Path) -> str:
    """Return what all models and shapes reach on a GPU."""
    return f"{speed_tables.overview([quality.load(results / name) for name in ENGINES])}\n"


def speed(file: Path) -> str:
    """Return what a benchmark says."""
    return f"{speed_tables.table(quality.load(file))}\n"


def update(text: str, sections: dict[str, str]) -> str:
    """Return a document with each section between its two marks."""
    for name, section in sections.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        text = f"{text.split(begin)[0]}{begin}{section}{end}{text.split(end)[1]}"
    return text


if __name__ == "__main__":
    for document, measured in blocks(ROOT).items():
        write_atomically(document, update(document.read_text(encoding="utf-8"), measured))
