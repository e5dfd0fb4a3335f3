"""Measure a whole `crm-dedup match` on a machine with GPUs: ``.venv/bin/python scripts/experiments/match_end_to_end.py 100000``.

Generates an export, takes each stage in a process of its own, and keeps its seconds and memory, and how fast pairs were decided once the
model was loaded: ``results/match_end_to_end.json``, one entry a size, CRM, model, machine and number of copies. What follows ``--`` goes to
the command.
"""

import argparse
import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import match_scale
import result_entries
import torch
from tabulate import tabulate

from crm_dedup_plugin.benchmark.roofline import detect
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference.models import named
from crm_dedup_plugin.matching import deciding, run_folder
from crm_dedup_plugin.provenance import digest, model_digest, versions

RESULTS = Path("results/match_end_to_end.json")
STAGES = ("read", "candidates", "decide", "group", "plan", "report")
CRM, SIZES, PRICE = "hubspot", tuple(10**power for power in range(4, 10)), 3.0  # of the forecast; the price is that of a GPU and an hour


def steady(run: Path, copies: int) -> float:
    """Return the pairs a second from when every copy has decided a shard until the last one is written."""
    import pyarrow.parquet

    shards = sorted((run_folder.folder(run, "decide") / deciding.SHARDS).glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    times = [path.stat().st_mtime for path in shards]
    pairs = sum(pyarrow.parquet.read_metadata(path).num_rows for path in shards[copies:])
    return round(pairs / (times[-1] - times[copies - 1]), 1) if len(shards) > copies else 0.0


def measure(options: argparse.Namespace, words: list[str]) -> dict:
    """Return the seconds and memory of each stage, and the speed of deciding."""
    file = match_scale.made(options.rows, options.folder, options)
    run = options.folder / f"whole-{options.crm}-{options.rows}"
    subprocess.run(["rm", "-rf", str(run)], check=True)
    command = [sys.executable, "-m", "crm_dedup_plugin", "match", str(file), "--run", str(run), "--model", options.model, *words]
    stages = {stage: match_scale.watch([*command, "--until", stage]) for stage in STAGES}
    reports = {stage: run_folder.report(run, stage) for stage in STAGES[:-1]}
    found = {"records": reports["read"]["records"], "pairs": reports["decide"]["pairs"], "groups": reports["group"]["groups"]}
    found |= {"pairs_per_second": steady(run, options.copies), "seconds": round(sum(one["seconds"] for one in stages.values()), 1)}
    return {**found, "stages": stages, "data_sha256": digest([file])}


def table(results: Path) -> str:
    """Return a row for each entry."""
    rows = []
    for one in sorted(result_entries.read(results), key=lambda one: (one["rows"], one["gpus"], one["copies"])):
        seconds = (f"{one['stages'][stage]['seconds']:,.0f} s" for stage in STAGES[:-1])
        memory = max(stage["peak_mb"] for stage in one["stages"].values())
        speed = f"{one['pairs_per_second']:,.0f}"
        rows.append(
            [
                f"{one['rows']:,}",
                f"{one['pairs']:,}",
                one["gpus"],
                one["copies"],
                *seconds,
                f"{one['seconds']:,.0f} s",
                speed,
                f"{memory / 1024:,.1f} GB",
            ]
        )
    heads = ["rows", "pairs", "GPUs", "copies", *STAGES[:-1], "all", "pairs/s", "peak memory"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def forecast(results: Path) -> str:
    """Return what exports of other sizes need: measured where they were, else computed from the largest that was measured."""
    begun = {one["rows"]: one for one in result_entries.read(results.with_name("match_scale.json")) if one["crm"] == CRM}
    whole = max((one for one in result_entries.read(results) if one["crm"] == CRM and one["gpus"] == 1), key=lambda one: one["rows"])
    after = sum(whole["stages"][stage]["seconds"] for stage in ("group", "plan", "report"))
    largest, rows = begun[max(begun)], []
    for size in SIZES:
        known = begun.get(size)
        growth = size * math.log(size) / (largest["rows"] * math.log(largest["rows"]))
        seconds = known["seconds"] if known else largest["seconds"] * growth
        pairs = size * (known or largest)["per_record"]
        decide = pairs / whole["pairs_per_second"] / 3600
        hours = (f"{one:,.2f}" if one < 10 else f"{one:,.0f}" for one in (seconds / 3600, decide, after * size / whole["rows"] / 3600))
        rows.append([f"{size:,}", f"{pairs:,.0f}", *hours, f"{PRICE * decide:,.2f}" if decide < 10 else f"{PRICE * decide:,.0f}"])
    heads = [
        "rows",
        "pairs",
        "read and candidates, h on 2 cores",
        "decide, GPU hours",
        "group, plan and report, h",
        f"decide, USD at {PRICE:.2f} an hour",
    ]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Read the options, measure, and keep the entry."""
    parser = match_scale.parser_of(__doc__.split("\n")[0])
    parser.add_argument("rows", type=int)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--copies", type=int, default=1, help="of the model, as the words after -- ask for")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options, words = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]
    gpus = torch.cuda.device_count()
    entry = {"rows": options.rows, "crm": options.crm, "model": options.model, "model_sha256": model_digest(named(options.model)), "gpus": gpus}
    entry |= {"copies": options.copies, **measure(options, words), "seed": options.seed, "hardware": detect()._asdict(), "versions": versions()}
    entry |= {"command": f"scripts/experiments/match_end_to_end.py {shlex.join(sys.argv[1:])}"}
    result_entries.keep(RESULTS, entry, lambda one: (one["rows"], one["crm"], one["model"], one["hardware"]["name"], one["gpus"], one["copies"]))
    print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"match_end_to_end: {error}")
