"""GoldenMatch without configuration: ``python run_goldenmatch.py FOLDER OUT SEED``; the file as it is, and once more its telling columns."""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

PROGRAM = Path(sys.executable).parent / "goldenmatch"


def clusters(file: Path) -> list[list[int]]:
    """Return the clusters of a file, by row."""
    with tempfile.TemporaryDirectory() as folder:
        command = [PROGRAM, "dedupe", file.resolve(), "--output-clusters", "--output-dir", folder]
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
        found: dict[str, list[int]] = {}
        for path in Path(folder).glob("*clusters.csv"):
            with path.open(encoding="utf-8", newline="") as opened:
                for row in csv.DictReader(opened):
                    found.setdefault(row["__cluster_id__"], []).append(int(row["__row_id__"]))
    return list(found.values())


def main(folder: Path, out: Path, _seed: int) -> None:
    """Write the groups of a set."""
    size, began = len(common.rows(folder)), time.monotonic()
    variants = {"the file as it is": common.singletons(clusters(folder / "export.csv"), size)}
    seconds = time.monotonic() - began
    variants["its telling columns, cleaned"] = common.singletons(clusters(folder / "tidy.csv"), size)
    common.write(out, variants, "goldenmatch", seconds, labels=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
