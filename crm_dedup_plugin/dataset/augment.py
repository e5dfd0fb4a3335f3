"""Training pairs made from those at hand, with the same decisions: ``crm-dedup prepare --augment shuffled injected renamed brief``.

Only the training split is augmented, after the split, so that nothing of it is in validation or test.
"""

from __future__ import annotations

import multiprocessing
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial

from crm_dedup_plugin.dataset import perturb, renaming
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import attacks, reasoning
from crm_dedup_plugin.policy.evidence import FOUND, ONLY_A, ONLY_B, Evidence, compare
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME

_SHARES = {"shuffled": 0.3, "injected": 0.15}
_RENAMED = 0.3
_WRITERS: dict[str, tuple[Callable[[Evidence, str], str], ...]] = {  # the later ones for what the first cannot explain
    "plain": (lambda evidence, decision: reasoning.write_plainly(evidence),),
    "brief": (lambda evidence, decision: reasoning.write_briefly(_plain_to_see(evidence), decision), reasoning.write_briefly),
}
KINDS = (*_SHARES, "renamed", "oversampled", *_WRITERS)
_MOST_COPIES = 3
_MANY = 20_000  # rows from which on a process for each core pays
_IN_COMMON = 0.6  # of their letters: words that agree with less, or differ with more, are easily taken for the contrary


def augment(rows: list[dict], kinds: tuple[str, ...], seed: int = 7) -> list[dict]:
    """Return `rows` and changed copies of some, in a seeded random order.

    shuffled: 30% once more, with fields renamed and in another order. injected: 15% once more, with an instruction hidden
    in a field, which asks for any decision; named twice, twice as many. renamed: 30% of all rows, not copies, get field names of
    no CRM that is known here. oversampled: pairs of rare slices up to three times. plain: every reasoning goes through the fields
    in the same words, in place of the one that was given. brief: it names two of them, those that decide and can be seen to agree
    or differ.
    """
    rng, result = random.Random(seed), list(rows)
    if "oversampled" in kinds:
        result += _rare(rows)
    for kind, share in _SHARES.items():
        for _ in range(kinds.count(kind)):
            result += [_changed(row, kind, rng) for row in rows if rng.random() < share]
    rng.shuffle(result)
    if kind := next((kind for kind in _WRITERS if kind in kinds), None):
        result = _all_explained(result, kind)
    return [_renamed(row, rng) if rng.random() < _RENAMED else row for row in result] if "renamed" in kinds else result


def _changed(row: dict, kind: str, rng: random.Random) -> dict:
    pair = (row["input"]["record_a"], row["input"]["record_b"])
    # An instruction that never asks for the right decision would give it away.
    pair = perturb.shuffle(pair, rng) if kind == "shuffled" else perturb.inject(pair, rng, attacks.TRAIN, rng.choice(LABELS))
    copy = _with_records(row, pair)
    return {**copy, "id": f"{row['id']}-{kind}"} if row.get("id") not in (None, "") else copy


def _renamed(row: dict, rng: random.Random) -> dict:
    return _with_records(row, renaming.rename((row["input"]["record_a"], row["input"]["record_b"]), rng))


def _with_records(row: dict, pair: perturb.Pair) -> dict:
    return {**row, "input": dict(zip(("record_a", "record_b"), pair, strict=True))}


def _all_explained(rows: list[dict], kind: str) -> list[dict]:
    """Return each row with a reasoning of one kind; many rows are shared among the cores."""
    explain = partial(_explained, kind=kind)
    if len(rows) < _MANY:
        return list(map(explain, rows))
    with multiprocessing.Pool(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        return list(pool.imap(explain, rows, chunksize=500))


def _explained(row: dict, kind: str) -> dict:
    """Return the row with a reasoning by the first writer that says something of a field and argues for no other decision, else as it is."""
    pair, decision = row["input"], row["output"]["decision"]
    evidence = compare(**pair)
    for write in _WRITERS[kind]:
        explained = write(evidence, decision)
        if reasoning.claims(explained) and not reasoning.contradicts(decision, explained, **pair):
            return {**row, "output": {**row["output"], "reasoning": explained}}
    return row


def _plain_to_see(evidence: Evidence) -> Evidence:
    """Return the evidence without what a small model gets wrong: words that agree and look different, or differ and look alike."""

    def is_plain(concept: str, said: str) -> bool:
        if said in (FOUND, ONLY_A, ONLY_B):
            return True
        if said not in (SAME, CLOSE, DIFFERS) or concept not in evidence.a or concept not in evidence.b:
            return False
        if concept in reasoning.CODES:
            return said != CLOSE
        a, b = (renaming.letters(values[concept]) for values in (evidence.a, evidence.b))
        return (SequenceMatcher(None, a, b).ratio() < _IN_COMMON) == (said == DIFFERS)

    return replace(evidence, relations={concept: said for concept, said in evidence.relations.items() if is_plain(concept, said)})


def _rare(rows: list[dict]) -> list[dict]:
    """Return copies of the rows whose slice is smaller than the average one, at most two a row."""
    sizes = Counter(row.get("slice") for row in rows)
    mean = len(rows) / len(sizes)
    return [row for row in rows for _ in range(min(_MOST_COPIES, round(mean / sizes[row.get("slice")])) - 1)]
