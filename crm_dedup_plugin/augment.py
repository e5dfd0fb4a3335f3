"""More training pairs from those at hand, with the same decisions: ``crm-dedup prepare --augment swapped injected``.

Only the training split is augmented, after the split, so that nothing of it is in validation or test.
"""

from __future__ import annotations

import random
from collections import Counter

from crm_dedup_plugin.steward import attacks, perturb, reasoning

_SHARES = {"swapped": 1.0, "shuffled": 0.3, "injected": 0.15}
KINDS = (*_SHARES, "oversampled")
_MOST_COPIES = 3


def augment(rows: list[dict], kinds: tuple[str, ...], seed: int = 7) -> list[dict]:
    """Return `rows` and changed copies of some, in a seeded random order.

    swapped: every pair in the other order as well. shuffled: 30% once more, with fields renamed and in another order.
    injected: 15% once more, with an instruction hidden in a field. oversampled: pairs of rare slices up to three times.
    """
    rng, result = random.Random(seed), list(rows)
    if "oversampled" in kinds:
        result += _rare(rows)
    for kind, share in _SHARES.items():
        if kind in kinds:
            result += [_changed(row, kind, rng) for row in rows if rng.random() < share]
    rng.shuffle(result)
    return result


def _changed(row: dict, kind: str, rng: random.Random) -> dict:
    pair, output = (row["input"]["record_a"], row["input"]["record_b"]), row["output"]
    if kind == "swapped":
        pair, output = perturb.swap(pair), {**output, "reasoning": reasoning.mirrored(output["reasoning"])}
    elif kind == "shuffled":
        pair = perturb.shuffle(pair, rng)
    else:
        pair = perturb.inject(pair, rng, attacks.TRAIN, perturb.target_for(output["decision"]))
    copy = {**row, "input": dict(zip(("record_a", "record_b"), pair, strict=True)), "output": output}
    return {**copy, "id": f"{row['id']}-{kind}"} if row.get("id") not in (None, "") else copy


def _rare(rows: list[dict]) -> list[dict]:
    """Return copies of the rows whose slice is smaller than the average one, at most two a row."""
    sizes = Counter(row.get("slice") for row in rows)
    mean = len(rows) / len(sizes)
    return [row for row in rows for _ in range(min(_MOST_COPIES, round(mean / sizes[row.get("slice")])) - 1)]
