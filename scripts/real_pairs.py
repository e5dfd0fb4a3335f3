"""Training pairs from real, public sources: ``.venv/bin/python scripts/real_pairs.py --download --out data/real.jsonl``.

Sources, families and licences are listed in ``sources/sources.yml``. Give the file to ``crm-dedup prepare --also``. Its card lies beside it.
"""

import argparse
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

from sources import pairs
from sources.readers import READERS
from sources.registry import FOLDER, Registry, Source, files, registry, without

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation.documents import BENCHMARKS
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import read_pairs
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.storage import write_atomically

PAIRS = 1200  # of a source


def rows_of(source: Source, paths: dict[str, Path], known: Registry, seed: int, most: int) -> list[dict]:
    """Return the training rows of one source whose files lie at `paths`; equal arguments give equal rows."""
    if source.reader is None:
        labelled = [pair for path in paths.values() for pair in read_pairs(path, labels=(0, 1))]
        found = pairs.from_pairs(source.name, labelled, seed, most)
    else:
        read = READERS[source.reader](paths, random.Random(f"{source.name} {seed}"))
        found = pairs.from_rows(source.name, read, known.columns, seed, most)
    return [{**row, "slice": source.slice} for row in found]


def main(argv: list[str] | None = None, known: Registry | None = None) -> None:
    """Write the pairs of all sources that are not held out, and a card of them; raises UserError where a file is missing or wrong."""
    known = known or registry()
    options = _options(argv, known)
    sources = without(known, [*options.without, *known.folds.get(options.fold, ())])
    paths = {source.name: files(source, options.folder, options.benchmarks, options.download) for source in sources}
    rows, card = [], {"seed": options.seed, "pairs_of_a_source": options.pairs, "fold": options.fold, "sources": {}}
    for source in sources:
        found = rows_of(source, paths[source.name], known, options.seed, options.pairs)
        card["sources"][source.name] = _described(source, found)
        print(_line(source.name, card["sources"][source.name]), flush=True)
        rows += found
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    card |= {"held_out": sorted({source.family for source in known.sources} - {source.family for source in sources})}
    card |= {"pairs": len(rows), "sha256": digest([options.out])}
    write_atomically(options.out.with_suffix(".card.json"), json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    print(f"{options.out}: {len(rows):,} pairs of {len(sources)} sources")


def _options(argv: list[str] | None, known: Registry) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--without", nargs="+", default=[], metavar="FAMILY", help="families of sources to leave out")
    parser.add_argument("--fold", choices=sorted(known.folds), help="leave out the families of a fold in sources.yml")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files of the sources lie, a folder each")
    benchmarks = os.environ.get(BENCHMARKS)
    parser.add_argument("--benchmarks", type=Path, default=Path(benchmarks) if benchmarks else None, help=f"by default {BENCHMARKS}")
    parser.add_argument("--download", action="store_true", help="get the files that are missing")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="the most pairs of a source, %(default)s by default")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("data/real.jsonl"))
    return parser.parse_args(argv)


def _described(source: Source, rows: list[dict]) -> dict:
    decisions = Counter(row["output"]["decision"] for row in rows)
    return {
        "licence": source.licence,
        "family": source.family,
        "files": dict(source.files),
        "pairs": len(rows),
        "of_one_entity": sum(row["cluster_a"] == row["cluster_b"] for row in rows),
        "decisions": {label: decisions[label] for label in LABELS},
    }


def _line(name: str, one: dict) -> str:
    decisions = ", ".join(f"{count:,} {label}" for label, count in one["decisions"].items())
    return f"{name}: {one['pairs']:,} pairs, {one['of_one_entity']:,} of one entity; {decisions}"


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
