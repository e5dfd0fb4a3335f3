"""Write a generated set and its counts: ``crm-dedup synth --n 50000 --seed 7 --out data/all.jsonl``."""

import json
from collections import Counter, defaultdict
from pathlib import Path

from tqdm import tqdm

from crm_dedup_plugin.dataset.synth import blocked, lists
from crm_dedup_plugin.dataset.synth.generate import Settings, generate, locale_of
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.prompt import build
from crm_dedup_plugin.policy.evidence import compare, shared_domain
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.storage import whole, write_atomically

_CHARACTERS = 100  # of prompts that are counted together
_SHARED = ("first", "last", "name", "company", "street", "phone", "mobile", "email", "website")


def count(row: dict, counts: dict[str, Counter]) -> None:
    """Count what a generated row is."""
    decision, pair = row["output"]["decision"], row["input"]
    counts["decision"][decision] += 1
    counts["slice"][f"{row['slice']} {decision}"] += 1
    counts["locale"][locale_of(row)] += 1
    counts["prompt_chars"][len(build(**pair)) // _CHARACTERS * _CHARACTERS] += 1
    if decision == "NO_MATCH":
        evidence = compare(**pair)
        near = shared_domain(evidence) or any(evidence.get(concept) in ("same", "close", "found") for concept in _SHARED)
        counts["near_misses"][near] += 1


def write(pairs: int, seed: int, out: Path, kind: str = "", force: bool = False, block: blocked.Block | None = None) -> dict:
    """Write `pairs` rows of a kind ("", "compact", "unseen", "lists" or "populations") to `out`, and their counts to `out`.card.json; return these.

    `block` finds the pairs of populations. Raises UserError where `out` would be lost. Nothing is left of an interrupted run.
    """
    if pairs < 1:
        raise UserError(f"{pairs} pairs cannot be generated: ask for at least 1, as in --n 50000")
    if out.exists() and not force:
        raise UserError(f"{out} exists: move it away, name another file with --out, or add --force to replace it")
    counts, settings = defaultdict(Counter), Settings(compact=kind == "compact", unseen=kind == "unseen")
    if kind == "populations":
        rows = blocked.generate(pairs, block, seed)
    else:
        rows = lists.generate(pairs, seed) if kind == "lists" else generate(pairs, seed, settings)
    with whole(out) as partial, partial.open("w", encoding="utf-8") as file:
        for row in tqdm(rows, total=pairs, unit=" pairs", mininterval=1.0):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count(row, counts)
    command = f"crm-dedup synth --n {pairs} --seed {seed}" + (f" --{kind}" if kind else "")
    near = counts.pop("near_misses", Counter())
    card = {
        **{"command": command, "seed": seed, "sha256": digest([out])},
        **{"pairs": pairs, "negatives_that_share_something": round(near[True] / max(near.total(), 1), 4)},
        **{name: dict(sorted(counter.items())) for name, counter in counts.items()},
    }
    write_atomically(out.with_name(f"{out.stem}.card.json"), json.dumps(card, indent=2) + "\n")
    return card
