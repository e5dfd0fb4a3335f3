"""GoldenMatch without configuration: ``python run_goldenmatch.py FOLDER OUT SEED``; the file as it is, and once more its telling columns."""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

PROGRAM = Path(sys.executable).parent / "goldenmatch"
# Otherwise its search for a configuration stops after some seconds, and what it finds depends on how busy the machine is.
DETERMINISTIC = {"GOLDENMATCH_AUTOCONFIG_DETERMINISTIC": "1"}


def clusters(file: Path) -> list[list[int]]:
    """Return the clusters of a file, by row."""
    with tempfile.TemporaryDirectory() as folder:
        command = [PROGRAM, "dedupe", file.resolve(), "--output-clusters", "--output-dir", folder]
        subprocess.run(command, cwd=folder, env=os.environ | DETERMINISTIC, check=True, stdout=sys.stderr)
        found: dict[str, list[int]] = {}
        for path in Path(folder).glob("*clusters.csv"):
            with path.open(encoding="utf-8", newline="") as opened:
                for row in csv.DictReader(opened):
                    found.setdefault(row["__cluster_id__"], []).append(int(row["__row_id__"]))
    return list(found.values())


def without_empty_columns(file: Path, folder: Path) -> Path:
    """Return a copy of a file in which every column has a value somewhere."""
    with file.open(encoding="utf-8", newline="") as opened:
        header, *rows = csv.reader(opened)
    kept = [place for place in range(len(header)) if any(row[place] for row in rows)]
    with (folder / "filled.csv").open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([row[place] for place in kept] for row in (header, *rows))
    return folder / "filled.csv"


def main(folder: Path, out: Path, _seed: int) -> None:
    """Write the groups of a set."""
    size, began, told = len(common.rows(folder)), time.monotonic(), {}
    try:
        variants = {"the file as it is": common.singletons(clusters(folder / "export.csv"), size)}
    except subprocess.CalledProcessError:
        told = {"note": "it ends with an error on the file as it is: columns without any value were left out"}
        began = time.monotonic()
        variants = {"the file without its empty columns": common.singletons(clusters(without_empty_columns(folder / "export.csv", folder)), size)}
    seconds = time.monotonic() - began
    variants["its telling columns, cleaned"] = common.singletons(clusters(folder / "tidy.csv"), size)
    common.write(out, variants, "goldenmatch", seconds, labels=0, **told)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
