"""From the runs of all parts to ``outputs/results/MODEL/benchmark.json`` and ``latency.csv``.

A value of several repeats is {"value", "low", "high"}: their median, least and greatest. Rates are in pairs or tokens a second.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.benchmark.roofline import Hardware, Shape, detect, pairs_per_second
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair import probe
from crm_dedup_plugin.provenance import digest, model_digest, versions
from crm_dedup_plugin.storage import write_atomically

LATENCIES = ("ttft", "tpot", "itl", "e2el")
PERCENTILES = ("mean", "p50", "p95", "p99")


def inputs(work: Workload) -> dict:
    """Return hashes of the model, the pairs and the question, with the settings of the runs."""
    settings = {key: value for key, value in dataclasses.asdict(work).items() if key not in ("model", "data")}
    hashes = {"model_sha256": model_digest(work.model), "data_sha256": digest([Path(work.data)]), "prompt_sha256": probe.fingerprint()}
    return hashes | {"settings": settings}


def assemble(work: Workload, found: dict, used: dict, price: float | None) -> dict:
    """Return the benchmark as it is written, given the runs of each part; a part that was left out is None.

    `price` is that of the machine per hour.
    """
    from transformers import AutoConfig

    runs = found.get("offline")
    dtype = runs["dtype"] if runs else str(engine.settings().get("dtype", "bfloat16"))
    machine = detect(dtype, work.quantization)
    weight_bytes = 1 if work.quantization == "fp8" else {"float32": 4}.get(dtype, 2)
    arms = runs and offline(runs, Shape.of(AutoConfig.from_pretrained(work.model), weight_bytes), machine, price)
    baseline = found.get("transformers") and transformers(found["transformers"])
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
        **{key: runs and runs[key] for key in ("mps", "gpus", "peak_memory_bytes", "load_seconds")},
        "offline": arms,
        "online": found.get("online") and online(found["online"], price),
        "transformers": baseline,
        "agreement": runs and agreement(runs["agreement"]),
        "schema_cost": arms and schema_cost(arms),
        "speedup": speedup(arms, baseline) if arms and baseline else None,
    }


def write(result: dict, folder: Path) -> None:
    """Write the benchmark and its latencies into `folder`."""
    write_atomically(folder / "benchmark.json", json.dumps(result, indent=2) + "\n")
    write_atomically(folder / "latency.csv", latency_csv(result["online"] or []))


def latency_csv(levels: Sequence[dict]) -> str:
    """Return one row for each concurrency, repeat and latency, in milliseconds, as ``vllm bench serve`` gave them."""
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["concurrency", "repeat", "metric", *PERCENTILES])
    for level in levels:
        for repeat, run in enumerate(level["runs"]):
            for name in LATENCIES:
                table.writerow([level["concurrency"], repeat, name, *(run["vllm"][f"{point}_{name}_ms"] for point in PERCENTILES)])
    return rows.getvalue()


def offline(found: dict, shape: Shape, machine: Hardware, price: float | None) -> dict:
    """Return the arms of the offline part."""
    gpus, seats = max(found["gpus"], 1), found["max_num_seqs"] * found["engines"]
    return {arm: _arm(runs, shape, machine, price, seats, gpus, min(found["engines"], gpus)) for arm, runs in found["arms"].items()}


def _arm(runs: Sequence[dict], shape: Shape, machine: Hardware, price: float | None, seats: int, gpus: int, copies: int) -> dict:
    """Return one arm; the pairs in flight are divided among `copies` GPUs, or groups of GPUs, that each hold the weights."""
    pairs, means = runs[0]["pairs"], mean_tokens(runs)
    limit = gpus * pairs_per_second(shape, machine, *means.values(), min(seats, pairs) / copies)
    rate = rates(runs)
    return {
        "pairs_per_second": rate,
        "output_tokens_per_second": spread([run["output_tokens"] / run["seconds"] for run in runs]),
        **means,
        **{key: statistics.mean(run[key] for run in runs) for key in ("valid_json", "truncated") if key in runs[0]},
        "outside_the_engine": outside(runs),
        "limit_pairs_per_second": limit,
        "share_of_limit": rate["value"] / limit,
        "cost_per_million_pairs": cost(price, rate["value"]),
        "seconds": [run["seconds"] for run in runs],
    }


def rates(runs: Sequence[dict]) -> dict[str, float]:
    """Return the pairs a second of some runs."""
    return spread([run["pairs"] / run["seconds"] for run in runs])


def mean_tokens(runs: Sequence[dict]) -> dict[str, float]:
    """Return the mean number of tokens of a pair: of its prompt, of those that came from the cache, and of its answer."""
    return {f"{kind}_tokens": statistics.mean(run[f"{kind}_tokens"] / run["pairs"] for run in runs) for kind in ("prompt", "cached", "output")}


def outside(runs: Sequence[dict]) -> float:
    """Return the share of the time in which an engine is idle; with several engines, the mean of all."""
    return 1 - statistics.median(run["engine_seconds"] / run["seconds"] for run in runs)


def online(runs: dict[str, dict], price: float | None) -> list[dict]:
    """Return one entry per concurrency; `runs` in it holds what ``vllm bench serve`` reported, unaltered."""
    levels: dict[int, list[dict]] = {}
    for key, run in runs.items():
        levels.setdefault(int(key.partition("/")[0]), []).append(run)
    return [_level(level, levels[level], price) for level in sorted(levels)]


def _level(level: int, runs: Sequence[dict], price: float | None) -> dict:
    def over(read: Callable[[dict], float]) -> dict[str, float]:
        return spread([read(run["vllm"]) for run in runs])

    done = sum(run["vllm"]["completed"] for run in runs)
    served = [run["vllm"]["mean_e2el_ms"] / run["server_e2el_ms"] - 1 for run in runs if run["server_e2el_ms"]]
    rate = over(lambda run: run["request_throughput"])
    return {
        "concurrency": level,
        "requests": runs[0]["vllm"]["num_prompts"],
        "repeats": len(runs),
        "pairs_per_second": rate,
        "output_tokens_per_second": over(lambda run: run["output_throughput"]),
        "goodput": over(lambda run: run["request_goodput"]),
        "valid_json": sum(run["valid"] for run in runs) / done if done else None,
        "truncated": sum(run["truncated"] for run in runs) / done if done else None,
        "failed": sum(run["failed"] for run in runs),
        **{f"{name}_ms": {point: over(lambda run, key=f"{point}_{name}_ms": run[key]) for point in PERCENTILES} for name in LATENCIES},
        "client_overhead": statistics.median(served) if served else None,
        "cache_was_reset": all(run["cache_was_reset"] for run in runs),
        "cost_per_million_pairs": cost(price, rate["value"]),
        "runs": list(runs),
    }


def transformers(found: dict) -> dict:
    """Return both batch sizes of the baseline; None for one that does not fit."""
    kept = ("batch_size", "pairs", "valid_json")
    return {name: runs and {"pairs_per_second": rates(runs), **{key: runs[0][key] for key in kept}} for name, runs in found.items()}


def agreement(found: dict) -> dict | None:
    """Return how often the full answer and the one token decide alike, with a 95% interval; None if all pairs are ties."""
    if not found["pairs"]:
        return None
    same = [True] * found["agree"] + [False] * (found["pairs"] - found["agree"])
    return {**metrics.rate(same, engine.SEED), "pairs": found["pairs"], "ties": found["ties"]}


def schema_cost(arms: dict) -> float | None:
    """Return the share of throughput that the grammar costs at the same number of tokens; None if one of the arms was left out."""
    if "full_without_schema" not in arms:
        return None
    return 1 - arms["full"]["pairs_per_second"]["value"] / arms["full_without_schema"]["pairs_per_second"]["value"]


def speedup(arms: dict, baseline: dict) -> dict[str, float]:
    """Return how many times faster vLLM is than the largest batch of Transformers that fits."""
    slow = baseline["batch_largest"] or baseline["batch_1"]
    return {arm: arms[arm]["pairs_per_second"]["value"] / slow["pairs_per_second"]["value"] for arm in ("full", "decision") if arm in arms}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the least and the greatest of some repeats."""
    return {"value": statistics.median(values), "low": min(values), "high": max(values)}


def cost(price: float | None, rate: float) -> float | None:
    """Return the price of a million pairs at `rate` pairs a second, given the price of an hour."""
    return None if price is None else price / 3600 / rate * 1e6
