"""Measure one evaluation on one GPU and on several: ``.venv/bin/python scripts/experiments/scale_out.py MODEL --copies 1 2``.

The real command, lm_eval with vLLM and the schema, on the test split as it is, swapped, shuffled and injected; what counts is the time
in which the copies of the model answer, without loading, by vLLM's own progress bars (whole seconds). Keeps ``results/scale_out.json``,
one entry a model and number of copies; one that is there is not repeated.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import result_entries

from crm_dedup_plugin.benchmark.roofline import detect
from crm_dedup_plugin.cli.parser import above_zero
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import documents, evaluate
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.provenance import digest, versions

RESULTS = Path("results/scale_out.json")
_DONE = re.compile(r"Processed prompts: 100%\|[^|\r\n]*\| (\d+)/\1 \[((?:\d+:)?\d+:\d\d)<")


def split() -> Path:
    """Return the test split that is measured."""
    return documents.place(documents.TEST_SPLIT)


def measure(model: str, copies: int, tasks: list[str], limit: int | None) -> dict:
    """Run the evaluation and return its rate; raises UserError where it fails or tells no rate."""
    options = ["--limit", str(limit)] if limit else []
    with tempfile.TemporaryDirectory(prefix="scale-out-") as folder:
        log = Path(folder) / "log"
        command = evaluate.lm_eval_command(model, folder, tasks, {"data": str(split())}, options, copies)
        environment = {**engine.environment(model), **os.environ, "RAY_DEDUP_LOGS": "0"}
        began = time.monotonic()
        with log.open("wb") as file:
            code = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.STDOUT).returncode
        wall, said = time.monotonic() - began, log.read_text(encoding="utf-8", errors="replace")
        answers = sum(len(path.read_bytes().splitlines()) for path in Path(folder).rglob("samples_*.jsonl"))
    if code:
        raise UserError(f"the evaluation of {model} with {copies} copies failed (exit code {code}):\n{said[-3000:]}")
    seconds = slowest(said, answers, copies)
    return {"wall_seconds": round(wall, 1), "answers": answers, "seconds": seconds, "answers_per_second": answers / seconds}


def slowest(said: str, answers: int, copies: int) -> int:
    """Return the seconds of the copy that took longest, from the finished bars in what an evaluation wrote on its screen.

    Each copy has one bar, for its part of the answers; raises UserError where that is not so.
    """
    bars = {(int(part), clock) for part, clock in _DONE.findall(said)}
    parts = {part for part, _ in bars}
    if not parts or max(parts) - min(parts) > 1 or abs(max(parts) * copies - answers) > copies:
        raise UserError(f"{answers} answers of {copies} copies, and bars of {sorted(parts)}: this version of vLLM shows its progress otherwise")
    seconds = max(sum(int(part) * 60**power for power, part in enumerate(reversed(clock.split(":")))) for _, clock in bars)
    if not seconds:
        raise UserError(f"{answers} answers took no second: give more pairs")
    return seconds


def table(path: Path = RESULTS) -> str:
    """Return all entries as Markdown, each beside its model on one GPU."""
    from tabulate import tabulate

    found = json.loads(path.read_text(encoding="utf-8"))
    single = {(one["model"], one["hardware"]["name"]): one["answers_per_second"] for one in found if one["copies"] == 1}
    rows = []
    for one in sorted(found, key=_key):
        alone = single.get((one["model"], one["hardware"]["name"]))
        factor = f"{one['answers_per_second'] / alone:.2f}" if alone and one["copies"] > 1 else "-"
        name = one["model"] + (", random weights" if one["random_weights"] else "")
        rows.append(
            [name, f"{one['copies']} x {one['hardware']['name']}", f"{one['answers']:,}", one["seconds"], f"{one['answers_per_second']:,.0f}", factor]
        )
    return tabulate(rows, headers=["model", "GPUs", "answers", "s", "answers/s", "x one GPU"], tablefmt="github", disable_numparse=True)


def _key(entry: dict) -> tuple:
    return entry["model"], entry["copies"]


def main(argv: list[str] | None = None) -> None:
    """Read the options, measure, and keep the entries."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("model", help="folder of the model")
    parser.add_argument("--name", help="of the entry (that of the folder)")
    parser.add_argument("--random-weights", action="store_true", help="say in the results that it was never trained")
    parser.add_argument("--copies", type=above_zero(int), nargs="+", default=[1, 2], metavar="N", help="(1 2)")
    parser.add_argument("--tasks", nargs="+", default=[evaluate.MAIN, *evaluate.RATES], metavar="TASK")
    parser.add_argument("--limit", type=int, metavar="PAIRS", help="the first pairs of each task only")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--force", action="store_true", help="repeat what is there")
    arguments = sys.argv[1:] if argv is None else argv
    options = parser.parse_args(arguments)
    name = options.name or Path(options.model).name
    for copies in options.copies:
        evaluate.check_copies(copies)
    for copies in options.copies:
        if not options.force and (name, copies) in map(_key, result_entries.read(options.results)):
            print(f"{name}, {copies} copies: is there already")
            continue
        entry = {"model": name, "random_weights": options.random_weights, "copies": copies}
        entry |= measure(options.model, copies, options.tasks, options.limit)
        entry |= {
            "tasks": options.tasks,
            "hardware": detect()._asdict(),
            "data_sha256": digest([split()]),
            "versions": versions(),
        }
        entry |= {"seed": engine.SEED, "command": f"scripts/experiments/scale_out.py {shlex.join(arguments)}"}
        result_entries.keep(options.results, entry, _key)
        print(f"{name}, {copies} copies: {entry['answers_per_second']:,.1f} answers/s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"scale_out: {error}")
