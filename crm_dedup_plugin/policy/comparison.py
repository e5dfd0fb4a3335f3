"""The comparison vector of two records: their evidence as numbers, for what learns from a few answers.

>>> vector({"Email": "bo@x.example", "Phone": "1"}, {"E-mail": "Bo@X.example"})
{'email same': 1.0, 'phone missing': 1.0, 'email alike': 1.0}
"""

from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache

from rapidfuzz import fuzz

from crm_dedup_plugin.policy.evidence import ONLY_A, ONLY_B, compare
from crm_dedup_plugin.policy.fields import CONCEPTS, by_concept, concept_of
from crm_dedup_plugin.policy.names import fold

ALIKE, MISSING = "alike", "missing"
_CUTS = (55, 75, 90, 99.9)  # of the similarity of two values, from 0 to 100
LEVELS = len(_CUTS) + 1


def vector(record_a: Mapping[str, str], record_b: Mapping[str, str]) -> dict[str, float]:
    """Return what a comparison of two flat records found, by name; the order of the records makes no difference.

    "email same" and other relations of a concept are 1, as are the flags of `evidence.Evidence`. "email alike" goes from -1 (no letter in
    common) to 1, for each concept and each other column that both records have. What is not there is 0.
    """
    evidence = compare(record_a, record_b)
    found = {f"{concept} {MISSING if relation in (ONLY_A, ONLY_B) else relation}": 1.0 for concept, relation in evidence.relations.items()}
    sides = [(concept, evidence.a.get(concept), evidence.b.get(concept)) for concept in evidence.relations]
    sides += [(name, record_a[name], record_b.get(name)) for name in sorted(record_a) if concept_of(name) is None]
    found |= {f"{name} {ALIKE}": _alike(*sorted((a, b))) for name, a, b in sides if a and b}
    return found | dict.fromkeys(sorted(evidence.flags), 1.0)


def levels(record_a: Mapping[str, str], record_b: Mapping[str, str]) -> dict[str, int]:
    """Return how well each column agrees that both records have, whatever it means: from 0, unlike, to `LEVELS` - 1, the same.

    What is in a column that the other record lacks is compared with the other's column of the same concept, and has that name.

    >>> levels({"City": "York", "Email": "bo@x.example"}, {"City": "Hull", "E-mail": "bo@x.example"})
    {'City': 1, 'email': 4}
    """
    shared = record_a.keys() & record_b.keys()
    found = {name: _level(*sorted((record_a[name], record_b[name]))) for name in sorted(shared)}
    a, b = (by_concept({name: value for name, value in record.items() if name not in shared}) for record in (record_a, record_b))
    return found | {concept: _level(*sorted((a[concept], b[concept]))) for concept in sorted(a.keys() & b.keys() - found.keys())}


def elsewhere(found: Mapping[str, float]) -> dict[str, float]:
    """Return what of a comparison vector other sources can have too: no column that is of this source alone."""
    return {name: value for name, value in found.items() if " " not in name or name.rpartition(" ")[0] in CONCEPTS}


@lru_cache(maxsize=200_000)
def _alike(a: str, b: str) -> float:
    return fuzz.ratio(_folded(a), _folded(b)) / 50 - 1


@lru_cache(maxsize=200_000)
def _level(a: str, b: str) -> int:
    a, b = _folded(a), _folded(b)
    return bisect_right(_CUTS, max(fuzz.ratio(a, b), fuzz.token_sort_ratio(a, b)))


@lru_cache(maxsize=200_000)
def _folded(value: str) -> str:
    return fold(value) or value.casefold()
