"""All models and baselines side by side: ``crm-dedup compare``, or ``make compare``.

Writes ``results/model_comparison.md`` and ``results/model_comparison.html`` from what is in ``results/``: the same results,
the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.reporting.comparison import load
from crm_dedup_plugin.reporting.page import render
from crm_dedup_plugin.storage import write_atomically

PAGE = "model_comparison"


def compare(names: Sequence[str] = (), results: Path = Path("results")) -> list[Path]:
    """Compare the results of these names, or all; return the files. Raises UserError on broken files and mixed names."""
    pages = render(load(names, results))
    written = []
    for form, text in pages.items():
        path = results / f"{PAGE}.{form}"
        write_atomically(path, text)
        written.append(path)
    return written
