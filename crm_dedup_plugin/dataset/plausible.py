"""Is a label what a person could see in the two records? Fields are named by concept, as in list_columns.yml or in ``columns`` of sources.yml."""

import random
import unicodedata

from rapidfuzz import fuzz

from crm_dedup_plugin.policy.rules import POSSIBLE
from crm_dedup_plugin.policy.values import fold

NAMES = ("first", "last", "name", "company")
# Fields that many entities share: two records that have only these in common are not seen to be one.
_COMMON = ("kind", "category", "gender", "role", "party", "state", "area", "country", "nationality", "city", "birth_place", "number")
_SEEN, _SEEN_IN_SCRIPTS = 68.0, 50.0  # similarity of names from which on they can be seen to be one: in one script, in two
_ONE_NAME = 90.0  # similarity from which on nothing but another field can tell two names apart
_UNLIKELY = 0.2  # share of pairs of two entities that are kept although what they show is not alike at all


def plausible(same: bool, decision: str, left: dict, right: dict, rng: random.Random) -> bool:
    """Tell whether a person who sees two records could come to `decision`; `same` is the truth. Few easy pairs are kept."""
    if same or decision == POSSIBLE:
        return _one(left, right)
    return _two(left, right) and (in_scripts(left, right) or _likely(left, right) or rng.random() < _UNLIKELY)


def in_scripts(left: dict, right: dict) -> bool:
    """Tell whether the name of only one of two records is in Latin script."""
    return _latin(left) != _latin(right)


def _one(left: dict, right: dict) -> bool:
    """Tell whether a person could see that two records are of one entity."""
    names = [_name(record) for record in (left, right)]
    if _alike(*names) >= (_SEEN_IN_SCRIPTS if in_scripts(left, right) else _SEEN) or _initials(*names) or _initials(*reversed(names)):
        return True
    return bool(_agreeing(left, right) - set(_COMMON))


def _two(left: dict, right: dict) -> bool:
    """Tell whether a person could see that two records are of two entities: the names differ, or else a field that tells them apart."""
    telling = (left.keys() & right.keys()) - {*NAMES, *_COMMON}
    return _alike(*map(_name, (left, right))) < _ONE_NAME or bool(telling - _agreeing(left, right))


def _likely(left: dict, right: dict) -> bool:
    """Tell whether two records show why somebody would compare them."""
    names = [_name(record) for record in (left, right)]
    return bool(set(names[0].split()) & set(names[1].split())) or _alike(*names) >= _SEEN_IN_SCRIPTS or bool(_agreeing(left, right) - set(_COMMON))


def _agreeing(left: dict, right: dict) -> set[str]:
    return {field for field in left.keys() & right.keys() if field not in NAMES and fold(left[field]) == fold(right[field])}


def _alike(left: str, right: str) -> float:
    if not left or not right:
        return 0.0
    return max(fuzz.token_sort_ratio(left, right), fuzz.ratio(left.replace(" ", ""), right.replace(" ", "")))


def _name(record: dict) -> str:
    return fold(" ".join(record[name] for name in NAMES if name in record))


def _latin(record: dict) -> bool:
    return all(unicodedata.name(letter, "").startswith("LATIN") for name in NAMES for letter in record.get(name, "") if letter.isalpha())


def _initials(short: str, long: str) -> bool:
    words = long.split()
    return len(words) > 1 and short.replace(" ", "") == "".join(word[0] for word in words)
