"""The card of a generated set: what it holds, counted while it is written, as JSON, Markdown and a picture."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from crm_dedup_plugin.dataset.synth.generate import locale_of
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.prompt import build
from crm_dedup_plugin.policy.evidence import compare, shared_domain
from crm_dedup_plugin.storage import save_figure, write_atomically

_BIN = 100  # characters
_SHARED = ("first", "last", "name", "company", "street", "phone", "mobile", "email", "website")


class Card:
    """Counts rows one by one; memory does not grow with their number."""

    def __init__(self):
        self.counts = {name: Counter() for name in ("decision", "slice", "locale", "prompt_chars")}
        self.near_misses = 0

    def add(self, row: dict) -> None:
        """Count one generated row."""
        decision, pair = row["output"]["decision"], row["input"]
        self.counts["decision"][decision] += 1
        self.counts["slice"][f"{row['slice']} {decision}"] += 1
        self.counts["locale"][locale_of(row)] += 1
        self.counts["prompt_chars"][len(build(**pair)) // _BIN * _BIN] += 1
        if decision == "NO_MATCH":
            evidence = compare(pair["record_a"], pair["record_b"])
            self.near_misses += shared_domain(evidence) or any(evidence.get(concept) in ("same", "close", "found") for concept in _SHARED)

    def summary(self, **made: object) -> dict:
        """Return all counts, with `made`: the command, seed and hash of the set."""
        counts = {name: dict(sorted(counter.items())) for name, counter in self.counts.items()}
        negatives = max(self.counts["decision"]["NO_MATCH"], 1)
        return {
            **made,
            "pairs": sum(self.counts["decision"].values()),
            "negatives_that_share_something": round(self.near_misses / negatives, 4),
            **counts,
        }


def write(summary: dict, stem: Path) -> list[Path]:
    """Write `stem`.json, `stem`.md and `stem`.png; return their paths."""
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("json", "md", "png")]
    write_atomically(paths[0], json.dumps(summary, indent=2) + "\n")
    write_atomically(paths[1], _markdown(summary))
    _picture(summary, paths[2])
    return paths


def _markdown(summary: dict) -> str:
    from tabulate import tabulate

    slices: dict[str, Counter] = {}
    for key, count in summary["slice"].items():
        name, decision = key.split()
        slices.setdefault(name, Counter())[decision] = count
    table = tabulate([[name, *(counts[label] for label in LABELS)] for name, counts in slices.items()], headers=["slice", *LABELS], tablefmt="github")
    locales = ", ".join(f"{name} {count}" for name, count in summary["locale"].items())
    shared = summary["negatives_that_share_something"]
    return (
        f"# Data card\n\n`{summary['command']}`: {summary['pairs']} generated pairs, SHA-256 `{summary['sha256']}`.\n"
        f"{shared:.0%} of the NO_MATCH pairs share a name, an address, a telephone, a domain or an e-mail.\n\n{table}\n\nLocales: {locales}.\n"
    )


def _picture(summary: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    lengths = {int(size): count for size, count in summary["prompt_chars"].items()}
    left.bar(list(lengths), list(lengths.values()), width=_BIN * 0.9, align="edge")
    left.set(xlabel="characters of the prompt", ylabel="pairs", title="Prompt lengths")
    names = sorted({key.split()[0] for key in summary["slice"]}, reverse=True)
    start = [0] * len(names)
    for label, color in zip(LABELS, ("#2b6cb0", "#d69e2e", "#a0aec0"), strict=True):
        counts = [summary["slice"].get(f"{name} {label}", 0) for name in names]
        right.barh(names, counts, left=start, label=label, color=color)
        start = [a + b for a, b in zip(start, counts, strict=True)]
    right.legend()
    right.set(title="Slices and decisions", xlabel="pairs")
    save_figure(figure, path)
