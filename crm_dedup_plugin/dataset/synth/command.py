"""Write a generated set and its card: ``crm-dedup synth --n 50000 --seed 7 --out data/all.jsonl``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from crm_dedup_plugin.dataset.synth import card, lists
from crm_dedup_plugin.dataset.synth.generate import Settings, generate
from crm_dedup_plugin.errors import UserError


def synthesise(pairs: int, seed: int, out: Path, kind: str = "", force: bool = False) -> dict:
    """Write `pairs` rows of a kind ("", "compact", "unseen" or "lists") to `out`, and its card beside it; return the card.

    Raises UserError where `out` would be lost.
    """
    if pairs < 1:
        raise UserError(f"{pairs} pairs cannot be generated: ask for at least 1, as in --n 50000")
    if out.exists() and not force:
        raise UserError(f"{out} exists: move it away, name another file with --out, or add --force to replace it")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, digest, counted = out.with_name(f".{out.name}.part"), hashlib.sha256(), card.Card()
    with partial.open("wb") as file:
        for row in tqdm(_rows(pairs, seed, kind), total=pairs, unit=" pairs", mininterval=1.0):
            line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
            file.write(line)
            digest.update(line)
            counted.add(row)
    partial.replace(out)
    words = f"crm-dedup synth --n {pairs} --seed {seed}" + (f" --{kind}" if kind else "")
    summary = counted.summary(command=words, seed=seed, sha256=digest.hexdigest())
    card.write(summary, out.with_name(f"{out.stem}.card"))
    return summary


def _rows(pairs: int, seed: int, kind: str) -> Iterator[dict]:
    return lists.generate(pairs, seed) if kind == "lists" else generate(pairs, seed, Settings(compact=kind == "compact", unseen=kind == "unseen"))
