"""Split labelled pairs into train, validation and test: stratified by decision, and entity-disjoint.

Pairs that share a cluster or hold the same record belong together: no entity is ever on two sides.
"""

import random
from collections import Counter
from collections.abc import Callable

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.record import identity

SPLITS = ("train", "val", "test")


class SplitError(UserError):
    """Rows that cannot be split as asked; the message says what is missing and what to do."""


def split(
    rows: list[dict], fractions: tuple[float, float, float] = (0.8, 0.1, 0.1), seed: int = 7, keys: Callable[[dict], set] | None = None
) -> dict[str, list[dict]]:
    """Return the rows of each of `SPLITS`, in a seeded random order.

    `keys` returns what a row must not share with another side, in addition to its `entities`.

    Groups of connected pairs are placed one by one, the largest first, each where it brings the counts of every
    decision nearest to `fractions`. Raises SplitError if a fraction makes no sense or if a side would lack a decision.
    """
    if len(fractions) != len(SPLITS) or not (min(fractions) > 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise SplitError(f"fractions {fractions} must be three positive numbers that add up to 1, as in 0.8 0.1 0.1")
    totals = Counter(row["output"]["decision"] for row in rows)
    _require(totals, "in the data")

    rng = random.Random(seed)
    groups = connected(rows, keys)
    rng.shuffle(groups)
    groups.sort(key=len, reverse=True)

    # No side may end up without a decision: its target is at least one pair.
    targets = {name: {label: max(1.0, totals[label] * share) for label in LABELS} for name, share in zip(SPLITS, fractions, strict=True)}
    placed: dict[str, list[dict]] = {name: [] for name in SPLITS}
    counts = {name: Counter() for name in SPLITS}
    for group in groups:
        added = Counter(rows[index]["output"]["decision"] for index in group)
        side = min(SPLITS, key=lambda name: _growth(counts[name], added, targets[name]))
        counts[side].update(added)
        placed[side].extend(rows[index] for index in group)
    for name in SPLITS:
        _require(counts[name], f"in the {name} split", len(groups))
        rng.shuffle(placed[name])
    return placed


def connected(rows: list[dict], keys: Callable[[dict], set] | None = None) -> list[list[int]]:
    """Return groups of row numbers: a chain of shared clusters, equal records or `keys` joins the rows of a group."""
    import networkx

    shared = networkx.Graph()
    for number, row in enumerate(rows):
        shared.add_edges_from((number, key) for key in entities(row) | (keys(row) if keys else set()))
    return [sorted(node for node in group if isinstance(node, int)) for group in networkx.connected_components(shared)]


def entities(row: dict) -> set[tuple[str, str]]:
    """Return what a row must not share with another side, as keys: its clusters and its two records."""
    clusters = (row.get(name) for name in ("cluster_a", "cluster_b"))
    return {("cluster", str(cluster)) for cluster in clusters if cluster is not None and str(cluster).strip()} | contents(row)


def contents(row: dict) -> set[tuple[str, str]]:
    """Return the keys of the two records of a row. They mean the same in every file; names of clusters do not."""
    return {("record", identity(row["input"][name])) for name in ("record_a", "record_b")}


def _growth(counts: Counter, added: Counter, targets: dict[str, float]) -> float:
    """Return by how much a side's squared distance from its targets, relative to them, grows with `added`."""
    return sum(((counts[label] + n - targets[label]) ** 2 - (counts[label] - targets[label]) ** 2) / targets[label] for label, n in added.items())


def _require(counts: Counter, where: str, groups: int | None = None) -> None:
    missing = [label for label in LABELS if counts[label] < (len(SPLITS) if groups is None else 1)]
    if not missing:
        return
    have = ", ".join(f"{label} {counts[label]}" for label in LABELS)
    cure = f"add pairs of {' and '.join(missing)}, or use larger validation and test fractions"
    if groups is not None:
        cure += f"; the pairs form {groups} groups that share entities, and a group cannot be divided"
    raise SplitError(f"too few examples {where} ({have}): {cure}")
