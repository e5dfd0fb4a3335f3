"""From the options of ``crm-dedup bench`` to a workload and its result."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.benchmark.offline import ARMS
from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.benchmark.run import QUICK, bench
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.storage import RESULTS


def run(options: argparse.Namespace) -> tuple[Path, dict]:
    """Measure what the options ask for; return the file and what it says. Raises UserError on an option that cannot work."""
    given = {
        "pairs": options.pairs,
        "concurrency": options.concurrency and tuple(sorted(set(options.concurrency))),
        "batches": options.batches and tuple(options.batches),
        "arms": options.arms and _arms(options.arms),
        "max_tokens": options.max_tokens,
        "quantization": options.quantization,
    }
    for name in ("pairs", "repeats", "engines", "max_tokens", "deadline_ms", "price_per_hour", "timeout"):
        if (value := getattr(options, name)) is not None and value <= 0:
            raise UserError(f"--{name.replace('_', '-')} {value}: give a number above 0")
    for name in ("concurrency", "batches"):
        if given[name] and min(given[name]) < 1:
            raise UserError(f"--{name} {min(given[name])}: give numbers from 1 on")
    chosen = (QUICK if options.quick else {}) | {key: value for key, value in given.items() if value is not None}
    work = Workload(
        model=options.model or f"outputs/{options.name}-merged",
        data=str(options.data),
        repeats=options.repeats,
        deadline_ms=options.deadline_ms,
        random_weights=options.random_weights,
        engines=options.engines,
        engine=engine_arguments(options.engine),
        **chosen,
    )
    settings = {"base_url": options.base_url, "port": options.port, "price": options.price_per_hour, "quick": options.quick}
    words = "crm-dedup " + shlex.join(sys.argv[1:])
    result = bench(options.name, work, options.parts, force=options.force, timeout=options.timeout, command=words, **settings)
    return RESULTS / options.name / "benchmark.json", result


def _arms(asked: Sequence[str]) -> tuple[str, ...]:
    known = [kind + cache for kind, cache in ARMS]
    if unknown := next((arm for arm in asked if arm not in known), None):
        raise UserError(f"--arms {unknown}: choose among {', '.join(known)}")
    return tuple(arm for arm in known if arm in asked)


def engine_arguments(words: Sequence[str]) -> dict:
    """Return the arguments of vLLM's engine in ``KEY=VALUE`` words, values as JSON where they are; raises UserError."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise UserError(f"--engine {word}: write KEY=VALUE, as in max_num_seqs=512")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
