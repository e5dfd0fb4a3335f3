"""Training pairs made from those at hand, with the same decisions: ``crm-dedup prepare --augment shuffled injected brief``.

Only the training split is augmented, after the split, so that nothing of it is in validation or test.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from crm_dedup_plugin.steward import attacks, perturb, reasoning
from crm_dedup_plugin.steward.evidence import Evidence, compare

_SHARES = {"shuffled": 0.3, "injected": 0.15}
_WRITERS = {
    "plain": lambda evidence, decision: reasoning.write_plainly(evidence),
    "brief": reasoning.write_briefly,
}
KINDS = (*_SHARES, "oversampled", *_WRITERS)
_MOST_COPIES = 3


def augment(rows: list[dict], kinds: tuple[str, ...], seed: int = 7) -> list[dict]:
    """Return `rows` and changed copies of some, in a seeded random order.

    shuffled: 30% once more, with fields renamed and in another order. injected: 15% once more, with an instruction hidden
    in a field; named twice, twice as many. oversampled: pairs of rare slices up to three times. plain: every reasoning goes through
    the fields in the same words, in place of the one that was given. brief: it names two of them, those that decide.
    """
    rng, result = random.Random(seed), list(rows)
    if "oversampled" in kinds:
        result += _rare(rows)
    for kind, share in _SHARES.items():
        for _ in range(kinds.count(kind)):
            result += [_changed(row, kind, rng) for row in rows if rng.random() < share]
    rng.shuffle(result)
    writer = next((write for kind, write in _WRITERS.items() if kind in kinds), None)
    return [_explained(row, writer) for row in result] if writer else result


def _changed(row: dict, kind: str, rng: random.Random) -> dict:
    pair = (row["input"]["record_a"], row["input"]["record_b"])
    if kind == "shuffled":
        pair = perturb.shuffle(pair, rng)
    else:
        pair = perturb.inject(pair, rng, attacks.TRAIN, perturb.target_for(row["output"]["decision"]))
    copy = {**row, "input": dict(zip(("record_a", "record_b"), pair, strict=True))}
    return {**copy, "id": f"{row['id']}-{kind}"} if row.get("id") not in (None, "") else copy


def _explained(row: dict, write: Callable[[Evidence, str], str]) -> dict:
    """Return the row with a reasoning by `write`; as it is where that would say nothing of any field, or argue for another decision."""
    pair, decision = row["input"], row["output"]["decision"]
    explained = write(compare(**pair), decision)
    if not reasoning.claims(explained) or reasoning.contradicts(decision, explained, **pair):
        return row
    return {**row, "output": {**row["output"], "reasoning": explained}}


def _rare(rows: list[dict]) -> list[dict]:
    """Return copies of the rows whose slice is smaller than the average one, at most two a row."""
    sizes = Counter(row.get("slice") for row in rows)
    mean = len(rows) / len(sizes)
    return [row for row in rows for _ in range(min(_MOST_COPIES, round(mean / sizes[row.get("slice")])) - 1)]
