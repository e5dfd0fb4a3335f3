"""Draw the figures beside the committed results again, after a change of their style: ``.venv/bin/python scripts/draw_figures.py``.

The numbers are those of ``results/**/metrics.json`` and ``benchmark.json``; only folders that hold figures are drawn.
"""

from __future__ import annotations

import json

from crm_dedup_plugin.reporting import quality_figures, speed_figures
from crm_dedup_plugin.storage import EVIDENCE

if __name__ == "__main__":
    for name, figures in (("metrics.json", quality_figures), ("benchmark.json", speed_figures)):
        for path in sorted(EVIDENCE.rglob(name)):
            if any(path.parent.glob("*.png")):
                drawn = figures.draw(json.loads(path.read_text(encoding="utf-8")), path.parent, path.parent.name)
                print(*drawn, sep="\n")
