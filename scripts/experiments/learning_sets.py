"""Labelled pairs on which settings are chosen, never results: ``.venv/bin/python scripts/experiments/learning_sets.py [--patents FILE]``.

Three registers of persons come from the generator DupeHell, in an environment of its own (peers/). `--patents` names the file
``patent_example/patstat_input.csv`` of the examples of dedupe, with ``patstat_reference.csv`` beside it. Candidates are found as
`crm-dedup match` finds them; half of the pairs are of one entity. Writes ``outputs/learning/sets/NAME.jsonl``, and the whole lists to
``outputs/learning/sets/work/NAME/``: ``export.csv``, and ``truth.csv`` with the entity of each id.
"""

import argparse
import csv
import json
import random
import sys
from pathlib import Path

import match_peers

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import known
from crm_dedup_plugin.storage import write_atomically

ROOT, SETS = Path("outputs/matching"), Path("outputs/learning/sets")
RECORDS, PAIRS = 4000, 1200


def pairs_of(name: str, rows: list[dict], seed: int) -> list[dict]:
    """Return labelled pairs of records that blocking finds; a row's ``entity`` is the truth, and no evidence."""
    records, found = known.find(rows, SETS / "work" / name)
    keep_truth(rows, SETS / "work" / name)
    rng = random.Random(f"{name} {seed}")
    chosen = [(pair, int(same)) for same, pairs in found.items() for pair in rng.sample(pairs, min(PAIRS // 2, len(pairs)))]
    rng.shuffle(chosen)
    return [
        {"pair_id": f"{name}-{number:05}", "label": same, "record_a": records.evidence(a), "record_b": records.evidence(b)}
        for number, ((a, b), same) in enumerate(chosen, start=1)
    ]


def keep_truth(rows: list[dict], folder: Path) -> None:
    """Write the entity of each record beside the list that has none."""
    with (folder / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "entity"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def patents(path: Path) -> list[dict]:
    """Return the applicants of Dutch patents, with their organisations."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.with_name("patstat_reference.csv").open(encoding="utf-8", newline="") as file:
        entity = {row["person_id"]: row["leuven_id"] for row in csv.DictReader(file)}
    kept = [row for row in rows if row["person_id"] in entity]
    return [{"id": row.pop("person_id"), "entity": entity[row_id], **row} for row in kept for row_id in [row["person_id"]]]


def main() -> None:
    """Make the sets that the options name."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--patents", type=Path, help="patstat_input.csv")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    made = SETS / "work"
    made.mkdir(parents=True, exist_ok=True)
    match_peers.run("dupehell", ROOT, [made, RECORDS, options.seed])
    sources = {path.stem: list(csv.DictReader(path.open(encoding="utf-8", newline=""))) for path in sorted(made.glob("*.csv"))}
    if options.patents:
        sources["patents"] = patents(options.patents)
    for name, rows in sources.items():
        pairs = pairs_of(name, rows, options.seed)
        write_atomically(SETS / f"{name}.jsonl", "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs))
        print(f"{name}: {len(rows):,} records, {len(pairs):,} pairs, {sum(pair['label'] for pair in pairs):,} of one entity")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
