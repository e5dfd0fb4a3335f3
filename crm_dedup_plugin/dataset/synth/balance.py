"""Keeps single records from giving a decision away: what they hold is made equally common under all three.

The policy accepts some kinds of pairs more easily than others (a shared tax number makes a DUPLICATE). Left alone, a
tax number in one record would then hint at the decision. So pairs that lean the common way are dropped now and then.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict

from crm_dedup_plugin.pair.answer import LABELS

_MOST = 0.9  # of the pairs that lean, so that some always pass
_WARM_UP = 60  # pairs of a kind and decision that are counted before any is dropped


class Balance:
    """Counts what accepted records hold, by kind and decision; memory does not grow with the number of pairs."""

    def __init__(self, strength: float):
        """Take how soon a lean is corrected: the higher, the more pairs are dropped."""
        self.strength = strength
        self.held: dict[tuple[str, str], Counter] = defaultdict(Counter)
        self.total: Counter = Counter()
        self.lengths: dict[str, Counter] = {label: Counter() for label in LABELS}

    def admits(self, kind: str, decision: str, traits: list[str], rng: random.Random) -> bool:
        """Tell whether a pair with these `traits` (of either record, twice where both have one) may be added."""
        if min(self.total[kind, label] for label in LABELS) < _WARM_UP:
            return True
        present, lean = Counter(traits), 0.0
        counts = [(self.held[kind, label], self.total[kind, label]) for label in LABELS]
        mine, total = self.held[kind, decision], self.total[kind, decision]
        for trait in self.held[kind, "all"]:
            mean = sum(held[trait] / size for held, size in counts) / len(LABELS)
            lean += (present[trait] - mean) * (mine[trait] / total - mean)
        return lean <= 0 or rng.random() > min(_MOST, self.strength * lean)

    def add(self, kind: str, decision: str, traits: list[str]) -> None:
        """Count an accepted pair."""
        self.total[kind, decision] += 1
        self.held[kind, decision].update(traits)
        self.held[kind, "all"].update(traits)

    def lacking(self, kind: str, decision: str, traits: tuple[str, ...]) -> str:
        """Return the trait that is the rarest under this decision, beside the other decisions."""

        def lean(trait: str) -> float:
            rates = {label: self.held[kind, label][trait] / max(self.total[kind, label], 1) for label in LABELS}
            return rates[decision] - sum(rates.values()) / len(LABELS)

        return min(traits, key=lean)

    def pick(self, decision: str, drafts: list[str]) -> str:
        """Return the draft of a reasoning whose length is the rarest under its decision, beside the other decisions."""

        def lean(draft: str) -> float:
            counts = {label: self.lengths[label][len(draft)] for label in LABELS}
            return counts[decision] - sum(counts.values()) / len(LABELS)

        chosen = min(drafts, key=lean)
        self.lengths[decision][len(chosen)] += 1
        return chosen
