"""What evidence is worth in lists that nobody has answered about yet: public pairs teach it, and exports of a CRM, as a list may be like one.

It is learned beside the log-odds of models that have seen nothing of the pairs' family, and measured on public files by what the other
families and the exports teach. In the log-odds that are kept of public files, POSSIBLE counts half; those of a match leave it out.
``held_out_families.py evidence`` writes the weights. The settings were chosen on sets of other families, of which no result tells
(`learning_sets.py` makes them).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import contact_evidence
import learning_data
import numpy as np

from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.learning.calibrate import Fit, Prior, Vector, calibrate, probabilities, review_from
from crm_dedup_plugin.matching import evidence
from crm_dedup_plugin.matching.probability import Calibration, weighed
from crm_dedup_plugin.policy import comparison

PRIOR = Prior(slope_width=1.0, weight_width=1.0)
PUBLIC = 400  # pairs that a public set counts as, half of them of one entity
EXPORT = 2000  # pairs that an export counts as; those of one entity are as rare as among its candidates


class Taught(NamedTuple):
    """Labelled pairs: their log-odds, whether both are one entity, their evidence, how often each counts, and how well columns agree."""

    odds: np.ndarray
    same: np.ndarray
    vectors: list[Vector]
    counts: np.ndarray
    levels: evidence.Levels = ()


def public(path: Path, odds: list[np.ndarray]) -> Taught:
    """Return the pairs of a public file, with the mean of the log-odds of the models that have seen nothing of its family."""
    pairs = learning_data.load(path)
    same = np.array([pair.label for pair in pairs]) == 1
    vectors = [comparison.elsewhere(comparison.vector(*pair.records)) for pair in pairs]
    levels = [comparison.levels(*pair.records) for pair in pairs]
    levels = evidence.telling(levels, (record for pair in pairs for record in pair.records))
    return Taught(np.mean(odds, axis=0), same, vectors, PUBLIC / 2 / np.where(same, same.sum(), (~same).sum()), levels)


def exports() -> list[Taught]:
    """Return the candidates of the exports of `contact_evidence`."""
    found = map(contact_evidence.pairs, contact_evidence.SEEDS)
    return [Taught(odds, same, vectors, np.full(len(same), EXPORT / len(same))) for odds, same, vectors, _ in found]


def teach(sets: Iterable[Taught]) -> Fit:
    """Return what the evidence in some sets is worth."""
    odds, same, vectors, counts, _ = zip(*sets, strict=True)
    return calibrate(*map(np.concatenate, (odds, same)), PRIOR, [vector for part in vectors for vector in part], np.concatenate(counts))


def weigh(odds: np.ndarray, fit: Fit, vectors: list[Vector], levels: evidence.Levels = ()) -> np.ndarray:
    """Return the log-odds of pairs after their evidence, and after what their columns say without any label, from their `levels`."""
    found = fit.slope * odds + fit.bias + weighed(fit.weights, vectors)
    taught = evidence.learn(Calibration(**fit._asdict(), columns={}), found, levels)
    if not taught.columns:
        return found
    return taught.slope * odds + taught.bias + weighed(taught.weights, vectors) + list(map(taught.said, levels))


def learned(sets: Iterable[Taught]) -> Calibration:
    """Return the embedded model's calibration for lists, with what evidence is worth in some sets."""
    sets = list(sets)
    fit, temperature = teach(sets), Calibration.of(str(embedded.folder())).temperature
    looked_at = np.mean([review_from(probabilities(one.odds, fit, one.vectors)) for one in sets])
    return contact_evidence.packaged(fit, temperature, float(looked_at))._replace(columns={})
