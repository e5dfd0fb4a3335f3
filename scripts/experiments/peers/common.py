"""What the programs beside this file share: how they read rows and write groups. They run in environments without crm_dedup_plugin."""

import csv
import importlib.metadata
import json
import resource
from pathlib import Path


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a set, with common names of columns, cleaned as a careful user would."""
    with (folder / "tidy.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def truth(folder: Path) -> list[str]:
    """Return the entity of each row."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return [row["entity"] for row in csv.DictReader(file)]


def singletons(clusters: list[list[int]], size: int) -> list[int]:
    """Return the group of each of `size` rows: the smallest row that is in its cluster."""
    groups = list(range(size))
    for cluster in clusters:
        for row in cluster:
            groups[row] = min(cluster)
    return groups


def write(out: Path, variants: dict[str, list[int]], package: str, seconds: float, **told: object) -> None:
    """Write the groups of each variant, the one that the package recommends first, and what is to be told of the run."""
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    run = {"version": importlib.metadata.version(package), "seconds": round(seconds, 1), "peak_mb": round(memory), **told}
    out.write_text(json.dumps({"run": run, "groups": variants}), encoding="utf-8")
