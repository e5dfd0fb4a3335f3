"""Pairs out of the blocks of whole lists: ``crm-dedup synth --populations --n 70000 --out data/populations.jsonl``.

Each list has a regime of its own. Its pairs are those that `crm-dedup match` would compare: the hardest and any, in turn. Labels are the truth,
as for pairs of lists that are drawn one by one; what nobody could tell from the records is left out.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rapidfuzz import fuzz

from crm_dedup_plugin.dataset.plausible import plausible
from crm_dedup_plugin.dataset.synth import regimes
from crm_dedup_plugin.dataset.synth.countries import LOCALES, countries
from crm_dedup_plugin.dataset.synth.generate import Dice, row
from crm_dedup_plugin.dataset.synth.lists import ENGLISH, decide, explain, words
from crm_dedup_plugin.dataset.synth.populations import Population
from crm_dedup_plugin.pair.record import identity, normalise
from crm_dedup_plugin.policy.values import fold

Pair = tuple[str, str]  # ids of two records
Block = Callable[[list[dict]], dict[bool, list[Pair]]]  # from rows with `id` and `entity` to pairs worth comparing, of one entity and of two

A_LIST = 700  # pairs, at most
_FOUND = 0.6  # share of the pairs of one entity that can be used: blocking finds them, and somebody could see it
# What the columns are called for blocking, which reads other names than a list may have.
_PLAIN = {"first": "first_name", "last": "last_name", "birth": "birth_date", "place": "address", "line": "company"}
_SEEN = {"lines": {"line": "name"}, "register": {"company": "employer"}}  # what `plausible` is to take for a name, and what not


class Listed(NamedTuple):
    """A list: its regime, its country, and by the ids of its records what is known of them."""

    regime: regimes.Regime
    locale: str
    rows: dict[str, dict[str, str]]  # texts by concept
    records: dict[str, dict[str, str]]  # what they show
    evidence: dict[str, dict[str, str]]  # that of it which can say who it is
    told: dict[str, dict[str, str]]  # texts by concept as `plausible` takes them
    folded: dict[str, str]  # all that they show, to compare it


def generate(pairs: int, block: Block, seed: int = 7, a_list: int = A_LIST) -> Iterator[dict]:
    """Yield `pairs` labelled rows with clusters and slices, at most `a_list` of each list; equal arguments give equal rows."""
    made = (one for number in itertools.count() for one in pairs_of(number, block, seed, a_list))
    return itertools.islice(made, pairs)


def listed(number: int, seed: int, a_list: int) -> tuple[Listed, Dice]:
    """Return list `number`, large enough for `a_list` pairs, and the generator of what is drawn next."""
    rng = Dice(f"{seed} populations {number}")
    known = countries(seed, LOCALES)
    country = rng.choice([one for one in known if one.language == "en"] if rng.random() < ENGLISH else known)
    regime = regimes.draw(number, rng)
    entities = int(a_list * max(0.5, regime.prevalence / regime.several / _FOUND)) + 20
    rows = {one["id"]: one for one in Population(number, country, regime, rng).rows(entities)}
    records, entry = {key: _shown(one, regime) for key, one in rows.items()}, regime.columns.get("entry")
    evidence = {key: {name: text for name, text in record.items() if name != entry} for key, record in records.items()}
    names = {concept: concept for concept in regime.columns if concept != "entry"} | _SEEN.get(regime.kind, {})
    told = {key: {names[concept]: text for concept, text in one.items() if concept in names} for key, one in rows.items()}
    folded = {key: fold(" ".join(record.values())) for key, record in records.items()}
    return Listed(regime, country.locale, rows, records, evidence, told, folded), rng


def _shown(texts: dict[str, str], regime: regimes.Regime) -> dict[str, str]:
    return normalise({regime.columns[concept]: text for concept, text in texts.items() if concept in regime.columns})[0]


def pairs_of(number: int, block: Block, seed: int, a_list: int) -> Iterator[dict]:
    """Yield at most `a_list` labelled rows of list `number`, of which just the share that its regime says is of one entity."""
    made, rng = listed(number, seed, a_list)
    found = block([{_PLAIN.get(name, name): text for name, text in one.items()} for one in made.rows.values()])
    share = {True: made.regime.prevalence, False: 1 - made.regime.prevalence}
    seen: set[frozenset[str]] = set()
    usable = {same: list(itertools.islice(_usable(same, found[same], made, seen, rng), round(a_list * part))) for same, part in share.items()}
    size = min(len(usable[same]) / part for same, part in share.items())  # so that the prevalence holds
    kept = [(same, pair) for same, part in share.items() for pair in usable[same][: round(size * part)]]
    rng.shuffle(kept)
    for at, (same, pair) in enumerate(kept):
        left, right = (made.records[key] for key in pair)
        decision = _decision(same, pair, made)
        clusters = tuple(f"population-{made.rows[key]['entity']}" for key in pair)
        name, explained = f"populations-{made.locale}-{number:04d}-{at:05d}", explain(decision, left, right, rng)
        yield row(name, f"population_{made.regime.kind}", clusters, (dict(left), dict(right)), decision, explained)


def _usable(same: bool, pairs: list[Pair], made: Listed, seen: set[frozenset[str]], rng: Dice) -> Iterator[Pair]:
    """Yield pairs whose label somebody could see: in turn one of the hardest, and any; none whose two records were `seen` with each other before."""
    alike = {pair: fuzz.token_sort_ratio(*(made.folded[key] for key in pair)) for pair in pairs}

    def fresh(pair: Pair) -> bool:
        shown = frozenset(identity(made.records[key]) for key in pair)
        if shown in seen or not _told(same, pair, made, rng):
            return False
        seen.add(shown)
        return True

    hardest = _least_alike(alike) if same else _most_alike(alike)
    turns = itertools.zip_longest(*(filter(fresh, rng.sample(some, len(some))) for some in (hardest, pairs)))
    for pair in filter(None, itertools.chain.from_iterable(turns)):
        yield pair if rng.random() < 0.5 else pair[::-1]


def _least_alike(alike: dict[Pair, float]) -> list[Pair]:
    """Return the half of the pairs that are least alike."""
    return sorted(alike, key=lambda pair: (alike[pair], pair))[: (len(alike) + 1) // 2]


def _most_alike(alike: dict[Pair, float]) -> list[Pair]:
    """Return the pairs of each record with the one that is most like it."""
    best: dict[str, Pair] = {}
    for pair in sorted(alike):
        for key in pair:
            if key not in best or alike[pair] > alike[best[key]]:
                best[key] = pair
    return sorted(set(best.values()))


def _decision(same: bool, pair: Pair, made: Listed) -> str:
    return decide(same, *(made.evidence[key] for key in pair))


def _told(same: bool, pair: Pair, made: Listed, rng: Dice) -> bool:
    """Tell whether two records differ, and whether what they show fits the truth."""
    left, right = (made.records[key] for key in pair)
    if not left or not right or left == right or (not same and words(left) == words(right)):
        return False
    return plausible(same, _decision(same, pair, made), *(made.told[key] for key in pair), rng)
