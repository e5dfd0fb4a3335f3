"""Measure whole deduplications: ``.venv/bin/python scripts/experiments/match_quality.py [--sets hubspot febrl1] [--who ours splink]``.

Sets are generated exports of three CRMs, the files FEBRL 1 to 3, and two files of Splink (`--download` gets these). `ours` is the command
`crm-dedup match` with a model; the peers run in environments of their own (peers/), with the set-up that their manuals recommend and the labels
that they ask for. Keeps ``results/matching.json``: one entry a set, who, model and variant. Entries that are there are measured again.
"""

import argparse
import csv
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import command
import group_scores
import match_peers
import match_sets
import result_entries

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.provenance import digest, families, model_digest

RESULTS = Path("results/matching.json")
ROOT = Path("outputs/matching")
OURS = "ours"


def ours(folder: Path, model: str | None, seed: int, further: list[str], variant: str = "") -> Iterator[dict]:
    """Yield the entry of `crm-dedup match` on a set; a run that is there goes on where it stopped."""
    if (family := match_sets.FAMILIES.get(folder.name)) in families(model or str(embedded.folder())):
        print(
            f"{folder.name} is left out: {model or embedded.NAME} was trained on its family, {family}; give --model one that was not", file=sys.stderr
        )
        return
    run = run_of(folder, model)
    words = ["match", str(folder / "export.csv"), "--run", run.name, "--until", "group", *(["--model", model] if model else []), *further]
    began = time.monotonic()
    command.run(*words)
    seconds = time.monotonic() - began
    yield {
        "variant": variant,
        "model": told_of(model),
        "seconds": round(seconds, 1),
        **of_run(run, folder, seed),
    }


def run_of(folder: Path, model: str | None) -> Path:
    """Return the run that matches a set with a model, by default with the embedded one."""
    return Path("runs") / (f"quality-{folder.name}" + (f"-{Path(model).name}" if model else ""))


def told_of(model: str | None) -> str:
    """Return how an entry names its model."""
    return model_digest(model) if model else f"{embedded.NAME} {embedded.CHECKSUM.read_text(encoding='utf-8')[:16]}"


def of_run(run: Path, folder: Path, seed: int) -> dict:
    """Return what a finished run of `crm-dedup match` is worth, by the truth of a set."""
    known = match_sets.truth(folder)
    ids = Records(run).ids
    if missing := len(known.keys() - set(ids)):
        raise UserError(f"{run} lacks {missing} of the records of {folder}: it is a run of another file")
    truth = [known[one] for one in ids]
    groups, review, candidates = (
        _table(run, *words) for words in (("group", "groups", "row", "group"), ("group", "review", "a", "b"), ("candidates", "candidates", "a", "b"))
    )
    found = groups[groups[:, 0].argsort(), 1]
    report = run_folder.report(run, "decide")
    return {
        "blocking": group_scores.completeness(truth, candidates, seed),
        "in_review": len(review),
        "decide": {name: report.get(name) for name in ("model", "threshold", "pairs", "seconds")},
        **group_scores.measure(truth, found, review, seed),
    }


def _table(run: Path, stage: str, file: str, *columns: str):
    import numpy as np
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(run_folder.folder(run, stage) / f"{file}.parquet", columns=list(columns))
    return np.stack([table[column].to_numpy() for column in columns], axis=1)


def peers(name: str, folder: Path, seed: int) -> Iterator[dict]:
    """Yield the entries of a peer on a set: the variant that it recommends, and the best of all variants in hindsight."""
    made = match_peers.groups(name, folder, ROOT, seed)
    truth = list(match_sets.truth(folder).values())
    measured = {variant: group_scores.measure(truth, groups, seed=seed) for variant, groups in made["groups"].items()}
    recommended = next(iter(measured))
    best = max(measured, key=lambda variant: measured[variant]["pairs"]["f1"]["value"])
    yield {"variant": "recommended", "setting": recommended, **made["run"], **measured[recommended]}
    yield {"variant": "best in hindsight", "setting": best, **made["run"], **measured[best]}


def keep(entry: dict) -> None:
    """Put an entry into the results in place of an earlier one, and print its row of the table."""
    result_entries.keep(RESULTS, entry, lambda one: tuple(one.get(key) for key in ("set", "rows", "who", "variant", "model")))
    print(line(entry), flush=True)


def line(entry: dict) -> str:
    """Return one row of the table for people."""
    pairs = [entry["pairs"][name] for name in ("precision", "recall", "f1")]
    cells = [entry["set"], entry["who"], entry["variant"], entry.get("setting", "")]
    cells += [f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]" for one in (*pairs, entry["b_cubed"]["f1"])]
    cells += [f"{entry['wrong_merges_per_1000']['value']:.1f}", f"{entry['merged_or_in_review']['value']:.3f}", f"{entry['seconds']:.0f}"]
    return "| " + " | ".join(cells) + " |"


HEAD = "| set | who | variant | setting | precision | recall | F1 | B-cubed F1 | wrong merges in 1,000 | merged or in review | seconds |"


def main() -> None:
    """Measure what the options name, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=match_sets.SETS, default=match_sets.SETS)
    parser.add_argument("--who", nargs="+", choices=(OURS, *match_peers.PEERS), default=(OURS, *match_peers.PEERS))
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a generated export")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=match_sets.FOLDER, help="where published files lie, a folder each")
    parser.add_argument("--download", action="store_true", help="get the published files that are missing")
    parser.add_argument("--model", help="the model of `crm-dedup match --model`; further options go on to that command, such as --explain 0")
    parser.add_argument("--variant", default="", help="what to call ours, where its calibration or threshold is another one")
    options, further = parser.parse_known_args()
    print(HEAD, "|---" * HEAD.count(" | ") + "|---|", sep="\n")
    for name in options.sets:
        folder = match_sets.make(name, options.rows, options.seed, ROOT, options.folder, options.download)
        with (folder / "export.csv").open(encoding="utf-8", newline="") as file:
            rows = sum(1 for _ in csv.reader(file)) - 1
        for who in options.who:
            found = ours(folder, options.model, options.seed, further, options.variant) if who == OURS else peers(who, folder, options.seed)
            for entry in found:
                asked = f"scripts/experiments/match_quality.py --sets {name} --who {who} --rows {options.rows} --seed {options.seed}"
                asked += f" --model {options.model}" if who == OURS and options.model else ""
                asked += f" --variant {shlex.quote(options.variant)}" if who == OURS and options.variant else ""
                asked += f" {shlex.join(further)}" if who == OURS and further else ""
                data = {file: digest([folder / file]) for file in ("export.csv", "truth.csv")}
                keep({"set": name, "rows": rows, "seed": options.seed, "who": who, "data": data, "command": asked, **entry})


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
