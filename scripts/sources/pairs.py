"""From rows with entities, or from labelled pairs, to rows of training data.

Pairs of one entity are drawn among its rows; the others are pairs that blocking finds, half of them the most similar of a record.
Each pair shows some of the fields under names of its own. What nobody could decide from the records is left out.
"""

import itertools
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rapidfuzz import fuzz

from crm_dedup_plugin.dataset.plausible import NAMES, in_scripts, plausible
from crm_dedup_plugin.dataset.synth.generate import row
from crm_dedup_plugin.dataset.synth.lists import decide, explain
from crm_dedup_plugin.matching import known
from crm_dedup_plugin.pair.files import Pair
from crm_dedup_plugin.pair.record import identity, normalise
from crm_dedup_plugin.policy.fields import concept_of
from crm_dedup_plugin.policy.values import fold

Columns = Mapping[str, tuple[str, ...]]

_OTHER_COLUMNS = 0.25  # share of pairs whose records come from two lists
_WHOLE_NAME = 0.5  # share of pairs that show a first and a last name in one field
_OFTEN = 4  # pairs of one entity


def from_rows(source: str, rows: list[dict], columns: Columns, seed: int, most: int) -> list[dict]:
    """Return at most `most` rows of training data out of rows with entities, half of them of one entity if there are enough."""
    rng = random.Random(f"{source} {seed}")
    written, seen = [], set()
    for same, drawn in ((True, _of_one(rows, rng)), (False, _of_two(rows, rng))):
        kept = 0
        for pair in drawn:
            if kept == most // 2:
                break
            shown = _shown(*pair, rng)
            left, right = (_renamed(record, names) for record, names in zip(shown, _column_names(columns, rng), strict=True))
            decision = decide(same, *shown)
            if all(shown) and plausible(same, decision, *shown, rng) and _new(left, right, seen):
                clusters = tuple(f"{source}-{one['entity']}" for one in pair)
                written.append(_row(source, clusters, (left, right), decision, rng))
                kept += 1
    return _numbered(source, written, rng)


def from_pairs(source: str, pairs: list[Pair], seed: int, most: int) -> list[dict]:
    """Return at most `most` rows of training data out of pairs with a label of 1 or 0, as they are."""
    rng = random.Random(f"{source} {seed}")
    root = _entities(pairs)
    written, seen = [], set()
    for same in (True, False):
        of_kind = [pair for pair in pairs if bool(pair.label) == same]
        kept = 0
        for pair in rng.sample(of_kind, len(of_kind)):
            keys = tuple(map(identity, pair.records))
            if kept < most // 2 and keys[0] != keys[1] and (root(keys[0]) == root(keys[1])) == same and _new(*pair.records, seen):
                clusters = tuple(f"{source}-{root(key)}" for key in keys)
                written.append(_row(source, clusters, pair.records, decide(same, *pair.records), rng))
                kept += 1
    return _numbered(source, written, rng)


def _entities(pairs: list[Pair]) -> Callable[[str], int]:
    """Return what gives the entity of a record: records are of one entity if labelled pairs join them."""
    number, parent = {}, []

    def root(key: str) -> int:
        at = number.setdefault(key, len(number))
        if at == len(parent):
            parent.append(at)
        while parent[at] != at:
            parent[at] = at = parent[parent[at]]
        return at

    for pair in pairs:
        left, right = (root(identity(record)) for record in pair.records)
        if pair.label:
            parent[max(left, right)] = min(left, right)
    return root


def _row(source: str, clusters: tuple[str, str], records: tuple[dict, dict], decision: str, rng: random.Random) -> dict:
    left, right = (dict(normalise(record)[0]) for record in records)
    return row("", source, clusters, (left, right), decision, explain(decision, left, right, rng))


def _numbered(source: str, rows: list[dict], rng: random.Random) -> list[dict]:
    rng.shuffle(rows)
    return [{**one, "id": f"real-{source}-{number:05}"} for number, one in enumerate(rows, start=1)]


def _new(left: dict, right: dict, seen: set) -> bool:
    """Tell whether a pair of records is not yet there in either order, and remember it."""
    key = frozenset((identity(left), identity(right)))
    fresh = len(key) == 2 and key not in seen
    seen.add(key)
    return fresh


# -- drawing -------------------------------------------------------------------------------------------------------------------


def _of_one(rows: list[dict], rng: random.Random) -> Iterator[tuple[dict, dict]]:
    pairs = []
    for members in _clusters(rows).values():
        within = list(itertools.combinations(members, 2))
        pairs += rng.sample(within, min(_OFTEN, len(within)))
    for pair in rng.sample(pairs, len(pairs)):
        yield tuple(rng.sample(pair, 2))


def _clusters(rows: list[dict]) -> dict[str, list[dict]]:
    clusters: dict[str, list[dict]] = {}
    for one in rows:
        clusters.setdefault(one["entity"], []).append(one)
    return clusters


def _of_two(rows: list[dict], rng: random.Random) -> Iterator[tuple[dict, dict]]:
    """Yield pairs that blocking finds: in turn a record with the candidate that is most like it, and any.

    Another row of the second entity may stand for it, so that these pairs are in two scripts as often as those of one entity are:
    otherwise the scripts would give the label away.
    """
    by_id, clusters = {one["id"]: one for one in rows}, _clusters(rows)
    of_one = [in_scripts(*pair) for members in clusters.values() for pair in itertools.combinations(members, 2)]
    share = sum(of_one) / max(1, len(of_one))
    drawn = across = 0
    for pair in _found(rows, rng):
        left, right = (by_id[key] for key in pair)
        others = {wanted: [one for one in clusters[right["entity"]] if in_scripts(left, one) == wanted] for wanted in (True, False)}
        wanted = bool(others[True]) and across < share * (drawn + 1)
        if fitting := others[wanted]:
            yield left, right if right in fitting and rng.random() < 0.5 else rng.choice(fitting)
            drawn, across = drawn + 1, across + wanted


def _found(rows: list[dict], rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield the ids of pairs of two entities that blocking finds: in turn one of the most similar, and any."""
    with tempfile.TemporaryDirectory() as folder:
        records, found = known.find(rows, Path(folder))
        ids = records.ids
    pairs = sorted((ids[a], ids[b]) for a, b in found[False])
    of: dict[str, list[str]] = {}
    for a, b in pairs:
        of.setdefault(a, []).append(b)
        of.setdefault(b, []).append(a)
    text = {one["id"]: fold(" ".join(value for name, value in one.items() if name not in ("id", "entity") and value)) for one in rows}
    hardest = [(key, max(others, key=lambda other, key=key: (fuzz.token_sort_ratio(text[key], text[other]), other))) for key, others in of.items()]
    for pair in itertools.zip_longest(rng.sample(hardest, len(hardest)), rng.sample(pairs, len(pairs))):
        yield from filter(None, pair)


# -- what a pair shows ---------------------------------------------------------------------------------------------------------


def _shown(left: dict, right: dict, rng: random.Random) -> tuple[dict, dict]:
    """Return both records with some of their fields, of which some are missing."""
    more = sorted({name for one in (left, right) for name in one} - {"id", "entity", *NAMES})
    shown = set(rng.sample(more, rng.randint(0, len(more))))
    missing, whole = rng.choice((0.0, 0.1, 0.3)), rng.random() < _WHOLE_NAME
    records = []
    for one in (left, right):
        record = _named(one, whole, rng)
        record |= {name: one[name] for name in more if name in shown and one.get(name) and rng.random() >= missing}
        records.append(record)
    return records[0], records[1]


def _named(one: dict, whole: bool, rng: random.Random) -> dict:
    names = {name: one[name] for name in NAMES if one.get(name)}
    if not whole or not {"first", "last"} & names.keys():
        return names
    first, last = names.get("first", ""), names.get("last", "")
    text = f"{last}, {first}" if first and last and rng.random() < 0.3 else f"{first} {last}".strip()
    return {"name": text}


def _column_names(columns: Columns, rng: random.Random) -> tuple[dict, dict]:
    left = {field: rng.choice(names) for field, names in columns.items()}
    if rng.random() >= _OTHER_COLUMNS:
        return left, left
    # Another name of the same meaning: "name" may be that of a person, "organisation" may not.
    return left, {field: rng.choice([name for name in names if concept_of(name) == concept_of(left[field])]) for field, names in columns.items()}


def _renamed(record: dict, names: dict[str, str]) -> dict:
    """Return the record under the names of its columns; two fields of one name are kept apart."""
    renamed: dict[str, str] = {}
    for field, value in record.items():
        renamed[names[field] if names[field] not in renamed else field] = value
    return renamed
