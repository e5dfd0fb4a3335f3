"""Write the measured table into README.md: ``.venv/bin/python scripts/update_readme.py`` after ``make demo`` and ``scripts/baselines.py``.

Every number comes from results/; a test fails where README.md says anything else.
"""

from __future__ import annotations

import json
from pathlib import Path

from crm_dedup_plugin import report
from crm_dedup_plugin.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->"
MODELS = {"base": "smollm2-135m-base", "fine-tuned": "smollm2-135m"}
BASELINES = {"strings": "baseline-strings", "boosting": "baseline-boosting", "Splink": "baseline-splink"}
_WEAKEST = 4


def render(results: Path) -> str:
    """Return the table of base and fine-tuned model beside the baselines, and what it took."""
    measured = {title: json.loads((results / name / "metrics.json").read_text(encoding="utf-8")) for title, name in (MODELS | BASELINES).items()}
    training = json.loads((results / MODELS["fine-tuned"] / "training.json").read_text(encoding="utf-8"))
    base, tuned = measured["base"], measured["fine-tuned"]
    gain = tuned["macro_f1"]["value"] - base["macro_f1"]["value"]
    took = f"Training took {training['seconds'] / 60:.0f} minutes on two cores without a GPU, each evaluation {tuned['seconds'] / 60:.1f}."
    accuracy = {name: part["accuracy"]["value"] for name, part in tuned["slices"].items()}
    weakest = ", ".join(f"`{name}` {accuracy[name]:.2f}" for name in sorted(accuracy, key=accuracy.__getitem__)[:_WEAKEST])
    return (
        f"{report.table(measured)}\n\n"
        f"{tuned['pairs']} test pairs of entities that training never saw, with 95% intervals: macro F1 rises by {gain:.2f}. {took}\n"
        f"{_compared(measured)} Weakest slices: {weakest}.\n"
        f"Commands, versions and hashes: `results/*/metrics.json`, `results/{MODELS['fine-tuned']}/training.json`.\n"
    )


def _compared(measured: dict[str, dict]) -> str:
    """Say which baselines beat the fine-tuned model on these pairs, and which it beats."""
    ours = measured["fine-tuned"]["macro_f1"]["value"]
    better = [f"{title} ({measured[title]['macro_f1']['value']:.2f})" for title in BASELINES if measured[title]["macro_f1"]["value"] > ours]
    if not better:
        return "It beats all three baselines."
    return f"**On these simple pairs {' and '.join(better)} {'is' if len(better) == 1 else 'are'} better than the fine-tuned model ({ours:.2f}).**"


def update(readme: str, block: str) -> str:
    """Return the text of README.md with `block` between its two marks."""
    before, after = readme.split(BEGIN)[0], readme.split(END)[1]
    return f"{before}{BEGIN}{block}{END}{after}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    write_atomically(path, update(path.read_text(encoding="utf-8"), render(ROOT / "results")))
