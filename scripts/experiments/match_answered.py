"""Measure what answers are worth to a whole match: ``.venv/bin/python scripts/experiments/match_answered.py --sets salesforce``.

Goes on from the runs of `match_quality.py --who ours`, which it copies. An oracle answers the questions of `crm-dedup review`, in their order,
by the truth; then `crm-dedup learn` and `crm-dedup match`. Keeps one entry for each number of answers in ``results/matching.json``.
"""

import argparse
import functools
import shutil
import subprocess
import sys
import time
from pathlib import Path

import command
import match_quality
import match_sets

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.learning import result
from crm_dedup_plugin.matching import answers
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.review.board import Board

COUNTS = (50, 100, 300)
RUNS = Path("runs")
quietly = functools.partial(command.run, stdout=subprocess.DEVNULL)


def answer(run: Path, truth: dict[str, str], count: int) -> None:
    """Answer `count` questions of a review by the truth."""
    board, ids = Board(run), Records(run).ids
    for _ in range(count):
        pair = board.next()
        same = truth[ids[pair.a]] == truth[ids[pair.b]]
        board.answer([(pair.a, pair.b)], answers.SAME if same else answers.DIFFERENT, drawn=pair.drawn)


def measure(folder: Path, seed: int, count: int, model: str | None) -> dict:
    """Return the entry after so many answers, on a copy of the run without any."""
    run, source = RUNS / f"answered-{folder.name}-{count}", match_quality.run_of(folder, model)
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(source, run)
    words = ("match", str(folder / "export.csv"), "--run", run.name, "--explain", "0")
    quietly(*words, *(("--model", model) if model else ()), "--until", "plan")
    answer(run, match_sets.truth(folder), count)
    began = time.monotonic()
    quietly("learn", run.name, "--no-tuning")
    learned = time.monotonic() - began
    quietly(*words, "--until", "group")  # with what was learned, which --model would leave out
    found = result.report(run)
    return {
        "variant": f"after {count} answers",
        "model": match_quality.told_of(model),
        "answers": found["answers"],
        "taken": found["taken"],
        "seconds": round(learned, 1),
        **match_quality.of_run(run, folder, seed),
    }


def main() -> None:
    """Measure what the options name, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=match_sets.SETS, default=("hubspot", "salesforce", "pipedrive"))
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a generated export")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--model", help="the model of the runs, where it is not the embedded one")
    parser.add_argument("--answers", nargs="+", type=int, default=COUNTS, help="how many answers")
    options = parser.parse_args()
    print(match_quality.HEAD, "|---" * match_quality.HEAD.count(" | ") + "|---|", sep="\n")
    for name in options.sets:
        folder = match_sets.make(name, options.rows, options.seed, match_quality.ROOT)
        data, rows = {file: digest([folder / file]) for file in ("export.csv", "truth.csv")}, len(match_sets.truth(folder))
        for count in options.answers:
            entry = measure(folder, options.seed, count, options.model)
            asked = f"scripts/experiments/match_answered.py --sets {name} --rows {options.rows} --seed {options.seed} --answers {count}"
            asked += f" --model {options.model}" if options.model else ""
            told = {
                "set": name,
                "rows": rows,
                "seed": options.seed,
                "who": match_quality.OURS,
                "data": data,
                "command": asked,
            }
            match_quality.keep({**told, **entry})


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
