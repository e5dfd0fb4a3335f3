"""From the runs of all arms to what ``outputs/results/MODEL/benchmark.json`` says; {"value", "low", "high"}: median, least and most over repeats."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from crm_dedup_plugin.benchmark.hardware import Hardware
from crm_dedup_plugin.benchmark.limits import Shape, pairs_per_second
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.inference import engine

LATENCIES = ("ttft", "tpot", "itl", "e2el")
PERCENTILES = ("mean", "p50", "p95", "p99")


def offline(found: dict, shape: Shape, machine: Hardware, price: float | None) -> dict:
    """Return the arms of vLLM over all pairs at once; `price` is that of the machine an hour."""
    gpus, seats = max(found["gpus"], 1), found["max_num_seqs"] * found["engines"]
    return {arm: _arm(runs, shape, machine, price, seats, gpus, min(found["engines"], gpus)) for arm, runs in found["arms"].items()}


def _arm(runs: Sequence[dict], shape: Shape, machine: Hardware, price: float | None, seats: int, gpus: int, copies: int) -> dict:
    """Return one arm; the pairs in flight are divided among `copies` GPUs, or groups of GPUs, with weights of their own."""
    pairs, means = runs[0]["pairs"], tokens(runs)
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


def tokens(runs: Sequence[dict]) -> dict[str, float]:
    """Return the mean tokens of a pair: of its prompt, of those from the cache, and of its answer."""
    return {f"{kind}_tokens": statistics.mean(run[f"{kind}_tokens"] / run["pairs"] for run in runs) for kind in ("prompt", "cached", "output")}


def outside(runs: Sequence[dict]) -> float:
    """Return the share of the time in which an engine has nothing to do, the mean of all where there are several."""
    return 1 - statistics.median(run["engine_seconds"] / run["seconds"] for run in runs)


def online(runs: dict[str, dict], price: float | None) -> list[dict]:
    """Return one entry a concurrency; what ``vllm bench serve`` printed stands in its `runs`, unaltered."""
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
    """Return both batch sizes of the baseline, None for what does not fit."""
    return {name: runs and _batch(runs) for name, runs in found.items()}


def _batch(runs: Sequence[dict]) -> dict:
    return {"batch_size": runs[0]["batch_size"], "pairs": runs[0]["pairs"], "pairs_per_second": rates(runs), "valid_json": runs[0]["valid_json"]}


def agreement(found: dict) -> dict | None:
    """Return how often the full answer and the one token decide alike, with a 95% interval; None where all are ties."""
    if not found["pairs"]:
        return None
    same = [True] * found["agree"] + [False] * (found["pairs"] - found["agree"])
    return {**metrics.rate(same, engine.SEED), "pairs": found["pairs"], "ties": found["ties"]}


def schema_cost(arms: dict) -> float | None:
    """Return the share of throughput that the grammar costs, at the same number of tokens; None where one of the arms was left out."""
    if "full_without_schema" not in arms:
        return None
    return 1 - arms["full"]["pairs_per_second"]["value"] / arms["full_without_schema"]["pairs_per_second"]["value"]


def speedup(arms: dict, baseline: dict) -> dict[str, float] | None:
    """Return how many times faster vLLM is than the largest batch of Transformers that fits."""
    slow = baseline["batch_largest"] or baseline["batch_1"]
    return {arm: arms[arm]["pairs_per_second"]["value"] / slow["pairs_per_second"]["value"] for arm in ("full", "decision") if arm in arms}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the least and the most of some repeats."""
    return {"value": statistics.median(values), "low": min(values), "high": max(values)}


def cost(price: float | None, rate: float) -> float | None:
    """Return the price of a million pairs, for one of the machine an hour."""
    return None if price is None else price / 3600 / rate * 1e6
