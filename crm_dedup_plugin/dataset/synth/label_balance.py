"""Keeps single records from giving the decision away: what they hold becomes equally common under all three decisions.

The policy accepts some kinds of pairs more easily than others: two equal tax numbers make a DUPLICATE, for example. A tax
number in one record would then hint at that decision. So some pairs that have what is too common already are dropped.
"""

import random
from collections import Counter, defaultdict

from crm_dedup_plugin.pair.answer import LABELS

_MOST = 0.9  # share of such pairs that is dropped at most, so that some always pass
_WARM_UP = 60  # pairs of each kind and decision that are counted before any is dropped


class LabelBalance:
    """Counts what accepted records hold, by kind ("person", "company") and decision."""

    def __init__(self, strength: float):
        """Take how strictly to balance: the higher the strength, the more pairs are dropped."""
        self.strength = strength
        self.held: dict[tuple[str, str], Counter] = defaultdict(Counter)
        self.total: Counter = Counter()
        self.lengths: dict[str, Counter] = {label: Counter() for label in LABELS}

    def admits(self, kind: str, decision: str, traits: list[str], rng: random.Random) -> bool:
        """Tell whether to keep a pair with these `traits` (of either record, twice where both have one)."""
        if min(self.total[kind, label] for label in LABELS) < _WARM_UP:
            return True
        present, excess = Counter(traits), 0.0
        counts = [(self.held[kind, label], self.total[kind, label]) for label in LABELS]
        mine, total = self.held[kind, decision], self.total[kind, decision]
        for trait in self.held[kind, "all"]:
            mean = sum(held[trait] / size for held, size in counts) / len(LABELS)
            excess += (present[trait] - mean) * (mine[trait] / total - mean)
        return excess <= 0 or rng.random() > min(_MOST, self.strength * excess)

    def add(self, kind: str, decision: str, traits: list[str]) -> None:
        """Count an accepted pair."""
        self.total[kind, decision] += 1
        self.held[kind, decision].update(traits)
        self.held[kind, "all"].update(traits)

    def rarest(self, kind: str, decision: str, traits: tuple[str, ...]) -> str:
        """Return the trait that this decision lacks most, compared with the others."""
        total = {label: max(self.total[kind, label], 1) for label in LABELS}
        return min(traits, key=lambda trait: _excess({label: self.held[kind, label][trait] / total[label] for label in LABELS}, decision))

    def pick(self, decision: str, drafts: list[str]) -> str:
        """Return, and count, the draft of a reasoning whose length this decision lacks most, compared with the others."""
        chosen = min(drafts, key=lambda draft: _excess({label: self.lengths[label][len(draft)] for label in LABELS}, decision))
        self.lengths[decision][len(chosen)] += 1
        return chosen


def _excess(rates: dict[str, float], decision: str) -> float:
    """Return by how much the rate of a decision is above the mean of all."""
    return rates[decision] - sum(rates.values()) / len(LABELS)
