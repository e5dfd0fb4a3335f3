"""Draw what reading and candidates cost by the number of rows, from results/match_scale.json.

``.venv/bin/python scripts/experiments/match_growth.py``
"""

import json
import math
from pathlib import Path

from crm_dedup_plugin.reporting import figures
from crm_dedup_plugin.storage import save_figure

RESULTS, PICTURE = Path("results/match_scale.json"), Path("docs/pictures/match_growth.png")
EXPORT = "hubspot"  # the export that was measured at every size


@figures.style()
def draw(results: Path = RESULTS, picture: Path = PICTURE) -> Path:
    """Draw the seconds of the processor for each size, and n log n from the smallest one on; return the picture."""
    entries = sorted((one for one in json.loads(results.read_text(encoding="utf-8")) if one["crm"] == EXPORT), key=lambda one: one["rows"])
    rows = [one["rows"] for one in entries]
    seconds = [one["read"]["cpu_seconds"] + one["candidates"]["cpu_seconds"] for one in entries]
    bound = [seconds[0] * count * math.log(count) / (rows[0] * math.log(rows[0])) for count in rows]
    figure, axes = figures.axes_of(figures.WIDTH, 2.8)
    axes.loglog(rows, bound, color=figures.GREYS[1], linestyle="--", label="n log n, from the first point on")
    axes.loglog(rows, seconds, color=figures.COLORS[0], marker="o", label="read and candidates, measured")
    for count, one in zip(rows, seconds, strict=True):
        axes.annotate(f"{one:,.0f} s", (count, one), textcoords="offset points", xytext=(2, -14))
    axes.set_xticks(rows, [f"{count:,}" for count in rows])
    axes.set_yticks((10, 100, 1000), ("10", "100", "1,000"))
    axes.minorticks_off()
    axes.set_ylim(3, 2000)
    axes.set_xlabel("rows of the export")
    axes.set_ylabel("seconds of the processor")
    figures.legend_below(figure, axes)
    return save_figure(figure, picture)


if __name__ == "__main__":
    print(draw())
