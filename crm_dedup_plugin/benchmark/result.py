"""``outputs/results/MODEL/benchmark.json`` and what is drawn and tabulated from it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.benchmark import summary
from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair import answer, prompt, record, tokens
from crm_dedup_plugin.provenance import digest, model_digest, versions
from crm_dedup_plugin.storage import write_atomically


def inputs(work: Workload) -> dict:
    """Return hashes of the model, the pairs and the question, with the settings of the runs."""
    code = [Path(module.__file__) for module in (engine, prompt, record, answer, tokens)]
    settings = {key: value for key, value in dataclasses.asdict(work).items() if key not in ("model", "data")}
    hashes = {"model_sha256": model_digest(work.model), "data_sha256": digest([Path(work.data)]), "prompt_sha256": digest(code)}
    return hashes | {"settings": settings}


def assemble(work: Workload, found: dict, used: dict, price: float | None) -> dict:
    """Return the benchmark as it is written, from the runs of each part; a part that was left out is None."""
    from transformers import AutoConfig

    from crm_dedup_plugin.benchmark.hardware import detect
    from crm_dedup_plugin.benchmark.limits import Shape

    offline = found.get("offline")
    dtype = offline["dtype"] if offline else str(engine.settings().get("dtype", "bfloat16"))
    machine = detect(dtype, work.quantization)
    weight_bytes = 1 if work.quantization == "fp8" else {"float32": 4}.get(dtype, 2)
    shape = Shape.of(AutoConfig.from_pretrained(work.model), weight_bytes)
    arms = offline and summary.offline(offline, shape, machine, price)
    baseline = found.get("transformers") and summary.transformers(found["transformers"])
    return {
        "model": work.model,
        "random_weights": work.random_weights,
        "hardware": machine._asdict(),
        "dtype": dtype,
        "quantization": work.quantization,
        "seed": engine.SEED,
        "versions": versions(),
        "inputs": used,
        "pairs": len(work.load()[0]),
        "price_per_hour": price,
        "deadline_ms": work.deadline_ms,
        "engines": work.engines,
        "mps": offline and offline.get("mps"),
        "gpus": offline and offline["gpus"],
        "peak_memory_bytes": offline and offline["peak_memory_bytes"],
        "load_seconds": offline and offline["load_seconds"],
        "offline": arms,
        "online": found.get("online") and summary.online(found["online"], price),
        "transformers": baseline,
        "agreement": offline and summary.agreement(offline["agreement"]),
        "schema_cost": arms and summary.schema_cost(arms),
        "speedup": summary.speedup(arms, baseline) if arms and baseline else None,
    }


def write(result: dict, folder: Path, name: str) -> list[Path]:
    """Write the benchmark, its latencies as a table and its plots; return the files."""
    from crm_dedup_plugin.reporting import speed_figures_old

    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "benchmark.json", folder / "latency.csv"]
    write_atomically(written[0], json.dumps(result, indent=2) + "\n")
    write_atomically(written[1], latency_csv(result["online"] or []))
    return written + speed_figures_old.draw(result, folder, name)


def latency_csv(levels: Sequence[dict]) -> str:
    """Return one row for each concurrency, repeat and latency, in milliseconds, as ``vllm bench serve`` gave them."""
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["concurrency", "repeat", "metric", *summary.PERCENTILES])
    for level in levels:
        for repeat, run in enumerate(level["runs"]):
            for name in summary.LATENCIES:
                table.writerow([level["concurrency"], repeat, name, *(run["vllm"][f"{point}_{name}_ms"] for point in summary.PERCENTILES)])
    return rows.getvalue()
