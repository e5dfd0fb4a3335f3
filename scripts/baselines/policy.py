"""The policy itself: rules written by hand, which read both records and decide. The generated CRM pairs have their labels from it."""

from __future__ import annotations

import numpy as np

from baselines.pairs import Fitted, Pairs, Verdicts
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy.evidence import compare
from crm_dedup_plugin.policy.rules import decide

LIBRARIES = ("rapidfuzz", "anyascii", "cleanco", "nicknames")
NOTE = "the labels of generated CRM pairs are its own decisions, so on those it is right by construction"


def fit(train: Pairs | None, val: Pairs, seed: int) -> Fitted:
    """Return the rules; nothing is learned or chosen."""
    return Fitted(_verdicts, {}, NOTE)


def _verdicts(pairs: Pairs) -> Verdicts:
    """Return the decisions, each of them certain: rules have no scores that a threshold for merges could be set on."""
    decisions = [decide(compare(*records)) for records in zip(pairs.left, pairs.right, strict=True)]
    return Verdicts(decisions, probabilities=np.equal(np.array(decisions)[:, None], LABELS).astype(float))
