"""``vllm bench serve`` against a server, at each concurrency and as often as asked; its numbers are kept unaltered.

``python -m crm_dedup_plugin.benchmark.online WORKLOAD.json OUT.json URL MODEL ENGINES``. A run that OUT.json already has is not repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.inference.engine import SEED, Pair
from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import RESPONSE_FORMAT, is_truncated, parse
from crm_dedup_plugin.storage import read_json, write_atomically

DETAILS = (
    "input_lens",
    "output_lens",
    "ttfts",
    "itls",
    "generated_texts",
    "errors",
    "start_times",
)  # one value per request; two of them hold records
REQUESTS = (16, 8)  # a level gets at least so many requests, and so many times its concurrency


def requests(level: int, pairs: int) -> int:
    """Return how many pairs a level is measured with: none twice, so that no prompt is in the cache as a whole."""
    least, times = REQUESTS
    return min(pairs, max(least, times * level))


def levels(work: Workload, pairs: int) -> list[int]:
    """Return the concurrencies that so many pairs fill at least twice, or else the lowest one."""
    return [level for level in work.concurrency if 2 * level <= pairs] or [min(work.concurrency)]


def planned(work: Workload, pairs: int) -> list[str]:
    """Return the names of the runs: the concurrency and the number of the repeat."""
    return [f"{level}/{repeat}" for level in levels(work, pairs) for repeat in range(work.repeats)]


def arguments(work: Workload, url: str, model: str, level: int, count: int, data: str, out: str) -> list[str]:
    """Return the options of ``vllm bench serve`` for one run."""
    body = {"response_format": RESPONSE_FORMAT}
    path = Path(out)
    return [
        *("--backend", "openai-chat", "--base-url", url, "--endpoint", "/v1/chat/completions", "--model", model),
        *("--tokenizer", work.model, "--dataset-name", "custom", "--dataset-path", data, "--custom-output-len", str(work.max_tokens)),
        *("--skip-chat-template", "--disable-shuffle", "--num-prompts", str(count), "--max-concurrency", str(level)),
        *("--ready-check-timeout-sec", "0", "--temperature", "0", "--seed", str(SEED), "--extra-body", json.dumps(body)),
        *("--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,95,99", "--goodput", f"e2el:{work.deadline_ms}"),
        *("--save-result", "--save-detailed", "--result-dir", str(path.parent), "--result-filename", path.name),
    ]


def drive(work: Workload, url: str, model: str, runs: dict, save: Callable[[], None], engines: int = 1) -> None:
    """Make the runs that `runs` lacks, each with only the rubric in the cache, and call `save` after each."""
    pairs, other = work.load()
    with tempfile.TemporaryDirectory(prefix="crm-dedup-") as folder:
        data = write_requests(pairs, work.max_tokens, Path(folder) / "pairs.jsonl")
        for key in planned(work, len(pairs)):
            if runs.get(key, {}).get("failed") == 0:
                continue
            level = int(key.partition("/")[0])
            reset = _prepare(url, model, other, engines)
            words = arguments(work, url, model, level, requests(level, len(pairs)), data, str(Path(folder) / "result.json"))
            before = server_seconds(url)
            runs[key] = run = summary(_bench(words), words, reset, server_seconds(url) - before)
            save()
            rate, failed = run["vllm"]["request_throughput"], run["failed"]
            print(f"online, {level} at a time: {rate:.1f} pairs/s{f', {failed} failed' if failed else ''}", flush=True)


def _bench(words: Sequence[str]) -> dict:
    from vllm.benchmarks.serve import add_cli_args, main_async
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser()
    add_cli_args(parser)
    options = parser.parse_args(list(words))
    asyncio.run(main_async(options))
    return json.loads((Path(options.result_dir) / options.result_filename).read_text(encoding="utf-8"))


def summary(raw: dict, words: Sequence[str], reset: bool, served: Counter) -> dict:
    """Return one run: vLLM's numbers, unaltered but without its lists of requests, and what only the answers and the server show."""
    texts = [text for text, error in zip(raw["generated_texts"], raw["errors"], strict=True) if not error]
    valid, cut = (sum(map(test, texts)) for test in (lambda text: parse(text) is not None, is_truncated))
    return {
        "vllm": {key: value for key, value in raw.items() if key not in DETAILS},
        "command": "vllm bench serve " + shlex.join(_shown(words)),
        "valid": valid,
        "truncated": cut,
        "failed": raw["failed"],
        "error": next((error.strip().splitlines()[-1][:300] for error in raw["errors"] if error), ""),
        "server_e2el_ms": 1000 * served["sum"] / served["count"] if served["count"] else None,
        "cache_was_reset": reset,
    }


def _shown(words: Sequence[str]) -> list[str]:
    """Return the options with placeholders instead of paths and addresses of this machine."""
    hidden = {"--dataset-path": "PAIRS.jsonl", "--result-dir": "FOLDER", "--base-url": "URL"}
    return [hidden.get(before, word) for before, word in zip(("", *words[:-1]), words, strict=True)]


def write_requests(pairs: Sequence[Pair], max_tokens: int, path: Path) -> str:
    """Write the questions as ``vllm bench serve`` reads them, and return the path."""
    rows = [{"prompt": prompt.build(*pair), "output_tokens": max_tokens} for pair in pairs]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def _prepare(url: str, model: str, other: Pair, engines: int) -> bool:
    """Empty the prefix caches if the server allows it, then ask each engine a pair that is not timed; return whether they were emptied."""
    body = {"model": model, "messages": prompt.messages(*other), "max_completion_tokens": 1, "response_format": RESPONSE_FORMAT}
    with httpx.Client(timeout=600) as server:
        try:
            reset = server.post(f"{url}/reset_prefix_cache", json={}).raise_for_status().json().get("success", False)
        except (httpx.HTTPStatusError, ValueError):
            reset = False
        for rank in range(engines):
            headers = {"X-data-parallel-rank": str(rank)} if engines > 1 else {}
            server.post(f"{url}/v1/chat/completions", json=body, headers=headers).raise_for_status()
    return reset


def server_seconds(url: str) -> Counter:
    """Return the "sum" of the seconds that all engines of the server have spent on requests, and their "count"; empty if it does not tell."""
    found, name = Counter(), "vllm:e2e_request_latency_seconds"
    with contextlib.suppress(httpx.HTTPError, ValueError):
        for family in text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=30).text):
            for sample in family.samples:
                if sample.name in (f"{name}_sum", f"{name}_count"):
                    found[sample.name.removeprefix(f"{name}_")] += sample.value
    return found


def main() -> None:
    """Drive the server at the address in the third argument with the workload of the first; keep runs in the second."""
    work, out, url, model = Workload.read(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5]
    runs = read_json(out) or {}
    drive(work, url, model, runs, lambda: write_atomically(out, json.dumps(runs)), int(sys.argv[5]))


if __name__ == "__main__":
    main()
