"""Measure what people usually try first, and the policy, with the same splits and metrics: ``.venv/bin/python scripts/measure_baselines.py``.

Writes ``results/baseline-NAME/metrics.json`` for majority, strings, boosting, splink and policy. Needs ``make prep`` and
``.venv/bin/pip install scikit-learn rapidfuzz splink anyascii nicknames``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np
from baselines.pairs import Fitted, Pairs, Verdicts, join, load

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import calibration, documents, linking, metrics
from crm_dedup_plugin.evaluation.calibration import auroc, interval
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.reporting import tables
from crm_dedup_plugin.storage import write_atomically

NAMES = ("majority", "strings", "boosting", "splink", "policy")
UNTRAINED = {"strings", "policy"}  # they need no `train`
SPLITS, UNSEEN, LISTS, RESULTS = Path("data/splits"), Path("data/unseen.jsonl"), Path("data/lists-held-out.jsonl"), Path("results")
SEED = 7


def main(argv: list[str] | None = None) -> int:
    """Measure every baseline and print one table; return 1 after an error that says what to do."""
    try:
        options = _options(argv)
        data = _data(options)
        results = {}
        for name in options.only:
            results[f"baseline-{name}"] = result = measure(name, data, options.seed)
            target = options.results / f"baseline-{name}" / "metrics.json"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, json.dumps(result | {"inputs": _inputs(options), "command": _command(options)}, indent=2) + "\n")
        print(tables.quality(results))
    except (UserError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def measure(name: str, data: dict[str, Pairs], seed: int) -> dict:
    """Fit one baseline on `train`, with its choices made on `val`, and return its metrics on everything else."""
    module, began = _module(name), time.monotonic()
    fitted = module.fit(data.get("train"), data["val"], seed)
    result = three_way(fitted, data["test"], seed)
    tasks = {"crm_dedup_unseen": three_way(fitted, data["unseen"], seed)} if "unseen" in data else {}
    public = fitted.decide(data["public"]) if "public" in data else None
    tasks |= {"crm_dedup_public": merges(public, data["public"], seed)} if public else {}
    return result | {
        "calibration": automation(fitted, data["test"], data["val"], seed),
        "linking": links(public, data["public"], fitted.decide(data["lists"]), data["lists"], seed) if public and "lists" in data else None,
        "tasks": tasks,
        "model": f"baseline-{name}",
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        "versions": {library: importlib.metadata.version(library) for library in module.LIBRARIES},
        "parameters": fitted.parameters,
        "note": fitted.note,
    }


def three_way(fitted: Fitted, pairs: Pairs, seed: int) -> dict:
    """Return the metrics of the three decisions, how many change when records are exchanged, and the AUROC of DUPLICATE."""
    verdicts, swapped = fitted.decide(pairs), fitted.decide(pairs.swapped())
    result = metrics.evaluate(pairs.gold, verdicts.decisions, pairs.slices, seed)
    result["flip_rate"] = metrics.rate(np.not_equal(verdicts.decisions, swapped.decisions).tolist(), seed)
    if verdicts.scores is not None:
        duplicate, scores = np.equal(pairs.gold, "DUPLICATE"), verdicts.scores
        result["auroc"] = interval(lambda at: auroc(duplicate[at], scores[at]), len(scores), seed)
    return result


def automation(fitted: Fitted, test: Pairs, val: Pairs, seed: int) -> dict | None:
    """Return the calibration as `metrics.json` of a model has it; of mere scores what they say about merges; None without scores."""
    verdicts, checks = fitted.decide(test), fitted.decide(val)
    if verdicts.scores is None:
        return None
    if verdicts.probabilities is not None:
        return calibration.measure(test.gold, verdicts.probabilities, val.gold, checks.probabilities, seed)
    duplicate = np.equal(test.gold, "DUPLICATE")
    threshold = calibration.merge_threshold(np.equal(val.gold, "DUPLICATE"), checks.scores)
    merged = verdicts.scores >= (np.inf if threshold is None else threshold)

    def share(inside: np.ndarray, of: np.ndarray) -> dict | None:
        return interval(lambda at: inside[at][of[at]].mean() if of[at].any() else np.nan, len(duplicate), seed)

    return {
        "pairs": len(duplicate),
        "validation_pairs": len(val.gold),
        "merge_at_99": {
            "threshold": threshold,
            "merged": int(merged.sum()),
            "precision": share(duplicate, merged),
            "coverage": share(merged, duplicate),
        },
        "precision_recall": calibration.precision_recall(duplicate, verdicts.scores),
    }


def merges(verdicts: Verdicts, pairs: Pairs, seed: int) -> dict:
    """Return the metrics of merges, one slice a benchmark; nothing was fitted or chosen on any of them."""
    return metrics.evaluate_pairs(pairs.gold, verdicts.decisions, pairs.slices, seed)


def links(verdicts: Verdicts, pairs: Pairs, held_out: Verdicts, lists: Pairs, seed: int) -> dict | None:
    """Return what a threshold from `lists` links of the public pairs, as for a model; None without scores and probabilities."""
    found, chosen = (one.scores if one.probabilities is None else linking.score(one.probabilities) for one in (verdicts, held_out))
    return None if found is None else linking.measure(pairs.gold, found, pairs.slices, lists.gold, chosen, seed)


def _module(name: str):
    try:
        return importlib.import_module(f"baselines.{name}")
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: `.venv/bin/pip install scikit-learn rapidfuzz splink anyascii nicknames`") from None


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--splits", type=Path, default=SPLITS, help="folder with train.jsonl, val.jsonl and test.jsonl")
    parser.add_argument("--unseen", type=Path, default=UNSEEN if UNSEEN.exists() else None, help=f"more labelled pairs; {UNSEEN} if it exists")
    listed = f"pairs of lists, for the threshold of links; {LISTS} if it exists"
    parser.add_argument("--lists", type=Path, default=LISTS if LISTS.exists() else None, help=listed)
    parser.add_argument(
        "--benchmarks", type=Path, default=os.environ.get(documents.BENCHMARKS), help=f"folder of public benchmarks; or set {documents.BENCHMARKS}"
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--limit", type=int, metavar="PAIRS", help="the first pairs of the test split and of --unseen only, as `crm-dedup kpi` takes them"
    )
    parser.add_argument(
        "--per-file", type=int, metavar="PAIRS", help="this many pairs of each public benchmark only, those that `crm-dedup kpi` draws"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args(argv)


def _data(options: argparse.Namespace) -> dict[str, Pairs]:
    """Return all pairs by name: the splits, `unseen`, and `public` with the names of its files as slices."""
    data = {name: load(path) for name, path in _splits(options).items()}
    data["test"] = data["test"].first(options.limit)
    if options.unseen:
        data["unseen"] = load(options.unseen, "name a file of labelled pairs with --unseen, or leave it out").first(options.limit)
    if options.lists:
        data["lists"] = load(options.lists, "name a file of `crm-dedup synth --lists` with --lists, or leave it out", linking.truth)
    if options.benchmarks:
        cure = f"name the folder of the benchmarks with --benchmarks or {documents.BENCHMARKS}, or leave it out"
        files = sorted(options.benchmarks.glob("*.jsonl"))
        if not files:
            raise UserError(f"{options.benchmarks} holds no *.jsonl files: {cure}")
        data["public"] = join({path.stem: load(path, cure).drawn(options.per_file, path.stem) for path in files})
    return data


def _splits(options: argparse.Namespace) -> dict[str, Path]:
    names = ("val", "test") if UNTRAINED.issuperset(options.only) else ("train", "val", "test")
    return {name: options.splits / f"{name}.jsonl" for name in names}


def _inputs(options: argparse.Namespace) -> dict[str, str]:
    paths = {"data" if name == "test" else name: path for name, path in _splits(options).items()}
    paths |= {name: path for name in ("unseen", "lists") if (path := getattr(options, name))}
    return {f"{name}_sha256": digest([path]) for name, path in paths.items()}


def _command(options: argparse.Namespace) -> str:
    """Return the command that repeats this, with paths relative to the project and the benchmarks by their variable."""
    words = ["scripts/measure_baselines.py", "--splits", os.path.relpath(options.splits), "--only", *options.only, "--seed", str(options.seed)]
    words += [word for name in ("unseen", "lists") if (path := getattr(options, name)) for word in (f"--{name}", os.path.relpath(path))]
    words += [word for key in ("limit", "per_file") if (count := getattr(options, key)) for word in (f"--{key.replace('_', '-')}", str(count))]
    return shlex.join(words) + (f' --benchmarks "${documents.BENCHMARKS}"' if options.benchmarks else "")


if __name__ == "__main__":
    sys.exit(main())
