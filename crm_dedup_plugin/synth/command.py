"""Write a generated set and its card: ``crm-dedup synth --n 50000 --seed 7 --out data/all.jsonl``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tqdm import tqdm

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.synth import card, lists
from crm_dedup_plugin.synth.generate import Settings, generate


def synthesise(pairs: int, seed: int, out: Path, settings: Settings, force: bool = False, of_lists: bool = False) -> dict:
    """Write `pairs` rows to `out`, and its card beside it; return the card. Raises UserError where `out` would be lost."""
    if pairs < 1:
        raise UserError(f"{pairs} pairs cannot be generated: ask for at least 1, as in --n 50000")
    if out.exists() and not force:
        raise UserError(f"{out} exists: move it away, name another file with --out, or add --force to replace it")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, digest, counted = out.with_name(f".{out.name}.part"), hashlib.sha256(), card.Card()
    with partial.open("wb") as file:
        rows = lists.generate(pairs, seed) if of_lists else generate(pairs, seed, settings)
        for row in tqdm(rows, total=pairs, unit=" pairs", mininterval=1.0):
            line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
            file.write(line)
            digest.update(line)
            counted.add(row)
    partial.replace(out)
    kind = "".join(f" --{name}" for name in ("compact", "unseen") if getattr(settings, name)) + " --lists" * of_lists
    summary = counted.summary(command=f"crm-dedup synth --n {pairs} --seed {seed}{kind}", seed=seed, sha256=digest.hexdigest())
    card.write(summary, out.with_name(f"{out.stem}.card"))
    return summary
