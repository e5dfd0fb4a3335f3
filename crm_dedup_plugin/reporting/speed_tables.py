"""The tables of a benchmark's results, for the screen and for documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def table(result: dict) -> str:
    """Return the rows of a benchmark that people ask for first."""
    from tabulate import tabulate

    rows = [[f"offline, {arm}", one["pairs_per_second"], None, f"{one['share_of_limit']:.0%}"] for arm, one in (result["offline"] or {}).items()]
    baseline = (result["transformers"] or {}).values()
    rows += [[f"Transformers, batch {one['batch_size']}", one["pairs_per_second"], None, ""] for one in baseline if one]
    for level in result["online"] or []:
        rows.append([f"online, {level['concurrency']} at a time", level["pairs_per_second"], level["e2el_ms"], ""])
    cells = [[name, _spread(rate), _latency(latency), share] for name, rate, latency, share in rows]
    weights = ", random weights: speed only" if result["random_weights"] else ""
    several = "" if result.get("engines", 1) == 1 else f", {result['engines']} engines side by side" + (" under MPS" if result.get("mps") else "")
    gpus = f"{result['gpus']} x " if (result.get("gpus") or 0) > 1 else ""
    numbers = f"{result['quantization']} weights, {result['dtype']}" if result.get("quantization") else result["dtype"]
    title = f"{result['model']}{weights}, {result['pairs']} pairs, {gpus}{result['hardware']['name']}, {numbers}{several}"
    heads = ["", "pairs/s (least-most)", "p50 / p95 / p99 ms", "of the physical limit"]
    return f"{title}\n\n{tabulate(cells, headers=heads, tablefmt='github', disable_numparse=True)}{_verdict(result)}"


def overview(results: Sequence[dict]) -> str:
    """Return one row for each benchmark: what a GPU does with many pairs, and with one."""
    from tabulate import tabulate

    def rate(result: dict, arm: str) -> str:
        one = result["offline"].get(arm)
        return f"{_spread(one['pairs_per_second'])}, {one['share_of_limit']:.0%}" if one else ""

    rows = []
    for result in results:
        alone = next((level for level in result["online"] or [] if level["concurrency"] == 1), None)
        rows.append(
            [
                Path(result["model"]).name + (", random weights" if result["random_weights"] else ""),
                result["quantization"] or result["dtype"],
                str(result["engines"]) + (" (MPS)" if result.get("mps") else ""),
                *(rate(result, arm) for arm in ("full", "decision")),
                f"{result['offline']['full']['output_tokens']:.0f}",
                "" if result["schema_cost"] is None else f"{result['schema_cost']:.1%}",
                _latency(alone and alone["e2el_ms"]),
            ]
        )
    rates = ["whole answers/s, of the limit", "one token, pairs/s, of the limit"]
    heads = ["", "weights", "engines", *rates, "tokens an answer", "the schema costs", "one pair, p50 / p95 / p99 ms"]
    machines = ", ".join(dict.fromkeys(f"{result['hardware']['name']}, vLLM {result['versions']['vllm']}" for result in results))
    return f"{machines}; median (least-most) of the repeats\n\n{tabulate(rows, headers=heads, tablefmt='github', disable_numparse=True)}"


def _verdict(result: dict) -> str:
    lines = []
    if result["agreement"]:
        one = result["agreement"]
        lines.append(f"One token decides as the full answer does for {one['value']:.1%} of {one['pairs']} pairs; {one['ties']} more are ties.")
    if result["schema_cost"] is not None:
        lines.append(f"The schema costs {result['schema_cost']:.1%} of the throughput.")
    if result["speedup"]:
        faster = {"full": "full answers", "decision": "one token"}
        told = [f"{faster[arm]} {times:.1f} times as fast" for arm, times in result["speedup"].items()]
        lines.append(f"Against Transformers: {', '.join(told)}.")
    return "".join(f"\n{line}" for line in ("", *lines))


def _spread(rate: dict) -> str:
    value, low, high = (f"{rate[key]:,.0f}" if rate[key] >= 100 else f"{rate[key]:.3g}" for key in ("value", "low", "high"))
    return f"{value} ({low}-{high})"


def _latency(points: dict | None) -> str:
    return " / ".join(f"{points[point]['value']:.0f}" for point in ("p50", "p95", "p99")) if points else ""
