"""Tables of speed, from the numbers of ``benchmark.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.reporting.tables import interval, optional, rate, table


def benchmark(result: dict) -> str:
    """Return the numbers of one benchmark that people ask for first."""
    rows = [
        [f"offline, {arm}", interval(one["pairs_per_second"], rate), "", f"{one['share_of_limit']:.0%}"]
        for arm, one in (result["offline"] or {}).items()
    ]
    for one in filter(None, (result["transformers"] or {}).values()):
        rows.append([f"Transformers, batch {one['batch_size']}", interval(one["pairs_per_second"], rate), "", ""])
    for level in result["online"] or []:
        name = f"online, {level['concurrency']} at a time"
        rows.append([name, interval(level["pairs_per_second"], rate), _percentiles(level["e2el_ms"]), ""])
    heads = ["", "pairs/s (least-most)", "p50 / p95 / p99 ms", "of the physical limit"]
    return f"{_title(result)}\n\n{table(heads, rows)}{_findings(result)}"


def overview(results: Sequence[dict]) -> str:
    """Return one row for each benchmark: its machine where they differ, throughput with many pairs, latency with one."""
    machines = [f"{result['hardware']['name']}, vLLM {result['versions']['vllm']}" for result in results]
    differ = len(set(machines)) > 1

    def offline(result: dict, arm: str) -> str:
        one = result["offline"].get(arm)
        return f"{interval(one['pairs_per_second'], rate)}, {one['share_of_limit']:.0%}" if one else ""

    rows = []
    for result, machine in zip(results, machines, strict=True):
        alone = next((level for level in result["online"] or [] if level["concurrency"] == 1), None)
        rows.append(
            [
                Path(result["model"]).name + (", random weights" if result["random_weights"] else ""),
                *([machine] if differ else []),
                result["quantization"] or result["dtype"],
                str(result["engines"]) + (" (MPS)" if result.get("mps") else ""),
                *(offline(result, arm) for arm in ("full", "decision")),
                f"{result['offline']['full']['output_tokens']:.0f}",
                "" if result["schema_cost"] is None else optional(result["schema_cost"]),
                _percentiles(alone and alone["e2el_ms"]),
            ]
        )
    rates = ["whole answers/s, of the limit", "one token, pairs/s, of the limit"]
    heads = [
        "",
        *(["machine"] if differ else []),
        "weights",
        "engines",
        *rates,
        "tokens per answer",
        "cost of the schema",
        "one pair, p50 / p95 / p99 ms",
    ]
    return f"{'' if differ else machines[0] + '; '}median (least-most) of the repeats\n\n{table(heads, rows)}"


def _title(result: dict) -> str:
    weights = ", random weights: speed only" if result["random_weights"] else ""
    several = "" if result.get("engines", 1) == 1 else f", {result['engines']} engines side by side" + (" under MPS" if result.get("mps") else "")
    gpus = f"{result['gpus']} x " if (result.get("gpus") or 0) > 1 else ""
    numbers = f"{result['quantization']} weights, {result['dtype']}" if result.get("quantization") else result["dtype"]
    return f"{result['model']}{weights}, {result['pairs']} pairs, {gpus}{result['hardware']['name']}, {numbers}{several}"


def _findings(result: dict) -> str:
    lines = []
    if one := result["agreement"]:
        lines.append(f"One token gives the same decision as the whole answer for {one['value']:.1%} of {one['pairs']} pairs; {one['ties']} more tie.")
    if result["schema_cost"] is not None:
        lines.append(f"The schema costs {result['schema_cost']:.1%} of the throughput.")
    if result["speedup"]:
        names = {"full": "whole answers", "decision": "one token"}
        lines.append(
            f"Compared with Transformers: {', '.join(f'{names[arm]} {times:.1f} times as fast' for arm, times in result['speedup'].items())}."
        )
    return "".join(f"\n{line}" for line in ("", *lines))


def _percentiles(points: dict | None) -> str:
    return " / ".join(f"{points[point]['value']:.0f}" for point in ("p50", "p95", "p99")) if points else ""
