"""Records of three invented registers, with their entities: ``python run_dupehell.py FOLDER RECORDS SEED``."""

import csv
import sys
from pathlib import Path

import dupehell
import pyarrow.parquet

KINDS = {"kyc": "natural_person", "healthcare": "patient", "crm": "contact"}  # of each domain, the entity that is a person
LEVEL = "hell"  # of damage, the worst of three


def main(folder: Path, size: int, seed: int) -> None:
    """Write ``NAME.csv`` for each register; its column ``entity`` is the truth."""
    for domain, kind in KINDS.items():
        made = dupehell.generate(domain, size, seed=seed, difficulty=LEVEL, output_dir=str(folder / "raw"), output_format="parquet")
        rows = [row for row in pyarrow.parquet.read_table(made.dataset).to_pylist() if row["entity_type"] == kind]
        # What names the record or the entity itself would give the truth away.
        hidden = {"record_id", "domain", "entity_type", "master_id", *(name for name in rows[0] if name.endswith("_id") and name != "tax_id")}
        names = [name for name in rows[0] if name not in hidden and any(row[name] not in (None, "") for row in rows)]
        with (folder / f"{domain}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "entity", *names])
            for row in rows:
                writer.writerow([row["record_id"], row["master_id"], *(row[name] for name in names)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
