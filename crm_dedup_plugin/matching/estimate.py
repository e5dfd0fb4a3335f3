"""What the answers about a few pairs say of all pairs of a run: how many merges are right, and how many duplicates are still missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, expit

from crm_dedup_plugin.matching.sampling import Answered, Sampler

LEAST = 10  # answers below which nothing is said
_DRAWS = 2_000
_TRUST = 8.0  # answers that the curve over all strata counts for within each stratum


@dataclass(frozen=True)
class Share:
    """A share between 0 and 1 with its 95% interval, and from how many answers it comes."""

    value: float
    low: float
    high: float
    answers: int


class Estimate(NamedTuple):
    """What the answers say of a run; None where they say too little, or there is nothing to speak of."""

    precision: Share | None  # of the merges that need no person: how many are right
    missing: Share | None  # of the duplicates among the candidates: how many are neither merged nor confirmed


def estimate(sampler: Sampler, answers: Mapping[int, Answered], confirmed: int, seed: int = 0) -> Estimate:
    """Return the estimates from those `answers` that are a random sample of their strata; `confirmed` candidates that were not merged are now.

    The number of duplicates in each stratum is drawn from its posterior. Its prior is the curve of the model's log-odds, corrected by the same
    answers: a stratum of many clear pairs and few answers then stays near its neighbours, instead of anywhere between 0 and 1.
    """
    sample = [[at for at in one if answers[at].answer in ("same", "different")] for one in sampler.sample(answers)]
    asked, same = np.array([len(one) for one in sample]), np.array([sum(answers[at].answer == "same" for at in one) for one in sample])
    if asked.sum() < LEAST:
        return Estimate(None, None)
    line = sampler.fitted({at: answers[at] for one in sample for at in one})
    duplicates = _duplicates(sampler, answers, asked, same, line, np.random.default_rng(seed))
    merges = sampler.merges
    right, found = duplicates[:, merges].sum(axis=1), duplicates[:, ~merges].sum(axis=1)
    precision = _share(right / sampler.sizes[merges].sum(), asked[merges].sum()) if merges.any() else None
    missing = _share(np.maximum(found - confirmed, 0) / np.maximum(right + found, 1), asked.sum())
    return Estimate(precision, missing)


def _duplicates(
    sampler: Sampler, answers: Mapping[int, Answered], asked: np.ndarray, same: np.ndarray, line: tuple, rng: np.random.Generator
) -> np.ndarray:
    """Return (draws, strata) numbers of duplicates, as they may be given the answers."""
    curves = rng.multivariate_normal(*line, _DRAWS)
    curves[:, 1] = np.maximum(curves[:, 1], 0.05)
    expected = expit(curves[:, :1, None] + curves[:, 1:, None] * sampler.points).mean(axis=2).clip(1e-6, 1 - 1e-6)
    rates = rng.beta(_TRUST * expected + same, _TRUST * (1 - expected) + asked - same)
    known = np.zeros((2, len(sampler.sizes)), np.int64)  # all that was answered counts as it is, and the rest as the sample says
    for at, one in answers.items():
        if one.answer in ("same", "different"):
            known[int(one.answer == "different"), sampler.of[at]] += 1
    return known[0] + rng.binomial(sampler.sizes - known.sum(axis=0), rates)


def _share(draws: np.ndarray, answers: int) -> Share:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Share(float(draws.mean()), float(low), float(high), int(answers))


def share_of(part: int, whole: int) -> Share | None:
    """Return a share that was counted, with Jeffreys' interval; None of nothing."""
    if not whole:
        return None
    low, high = betaincinv(part + 0.5, whole - part + 0.5, (0.025, 0.975))
    return Share(part / whole, 0.0 if part == 0 else float(low), 1.0 if part == whole else float(high), whole)
