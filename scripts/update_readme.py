"""Write the measured table into README.md: ``.venv/bin/python scripts/update_readme.py`` after ``make demo``.

Every number comes from results/; a test fails where README.md says anything else.
"""

from __future__ import annotations

import json
from pathlib import Path

from crm_dedup_plugin import report
from crm_dedup_plugin.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->"
NAMES = ("smollm2-135m-base", "smollm2-135m")


def render(results: Path) -> str:
    """Return the table of base and fine-tuned model, and what it took."""
    base, tuned = (json.loads((results / name / "metrics.json").read_text(encoding="utf-8")) for name in NAMES)
    training = json.loads((results / NAMES[1] / "training.json").read_text(encoding="utf-8"))
    gain = tuned["macro_f1"]["value"] - base["macro_f1"]["value"]
    took = f"Training took {training['seconds'] / 60:.0f} minutes on two cores without a GPU, each evaluation {tuned['seconds'] / 60:.1f}."
    return (
        f"{report.table({'base': base, 'fine-tuned': tuned})}\n\n"
        f"{tuned['pairs']} test pairs of entities that training never saw, with 95% intervals: macro F1 rises by {gain:.2f}. {took}\n"
        f"Commands, versions and hashes: `results/*/metrics.json`, `results/{NAMES[1]}/training.json`.\n"
    )


def update(readme: str, block: str) -> str:
    """Return the text of README.md with `block` between its two marks."""
    before, after = readme.split(BEGIN)[0], readme.split(END)[1]
    return f"{before}{BEGIN}{block}{END}{after}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    write_atomically(path, update(path.read_text(encoding="utf-8"), render(ROOT / "results")))
