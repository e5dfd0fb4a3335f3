"""Labelled pairs of CRM records from an invented world: ``crm-dedup synth --n 50000 --seed 7 --out data/all.jsonl``.

A case is drawn from a small world and written down as two CRMs would; the policy reads the two records and decides.
Where its decision is not the wanted one, or not the truth, the pair is dropped: each label rests on what the records show.
"""

import itertools
import random
from collections.abc import Callable, Iterator

from crm_dedup_plugin.dataset.synth import cases, crm_records
from crm_dedup_plugin.dataset.synth.countries import LOCALES, UNSEEN_LOCALES, Country, countries
from crm_dedup_plugin.dataset.synth.crm_records import REMARKS, Settings
from crm_dedup_plugin.dataset.synth.label_balance import LabelBalance
from crm_dedup_plugin.dataset.synth.world import World
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import fields, notes, reasoning, rules
from crm_dedup_plugin.policy.evidence import compare

_PAIRS_OF_A_WORLD = 6
_TRIES = 8  # cases for one choice of sizes
_DRAFTS = 4  # of a reasoning
_STRENGTH, _STRENGTH_COMPACT = 8.0, 5.0
_NOTED = 0.6  # share of pairs in which the notes may decide
_COMPACT_LOCALES = ("en_US", "en_GB")
_FULL = Settings()


class Dice(random.Random):
    """A generator whose small draws are three times as fast; their bias is too small to matter."""

    def choice(self, seq):
        return seq[int(self.random() * len(seq))]

    def randint(self, a, b):
        return a + int(self.random() * (b - a + 1))

    def randrange(self, start, stop=None):
        return int(self.random() * start) if stop is None else start + int(self.random() * (stop - start))


def generate(pairs: int, seed: int = 7, settings: Settings = _FULL) -> Iterator[dict]:
    """Yield `pairs` labelled rows with clusters and slices, a third of each decision; equal arguments give equal rows."""
    rng = Dice(f"{seed} {settings}")
    known = countries(seed, UNSEEN_LOCALES if settings.unseen else _COMPACT_LOCALES if settings.compact else LOCALES)
    weights = [country.weight for country in known]
    balance = LabelBalance(_STRENGTH_COMPACT if settings.compact else _STRENGTH)
    for number, world in worlds(pairs, lambda: rng.choices(known, weights)[0], rng):
        yield _row(number, LABELS[number % len(LABELS)], world, balance, settings)


def worlds(pairs: int, draw: Callable[[], Country], rng: random.Random) -> Iterator[tuple[int, World]]:
    """Yield the number of each pair with its world: every few pairs a new one, in the country that `draw` returns."""
    for number in range(pairs):
        if number % _PAIRS_OF_A_WORLD == 0:
            world = World(number // _PAIRS_OF_A_WORLD, draw(), rng)
        yield number, world


def locale_of(row: dict) -> str:
    """Return the locale of a generated row: the middle part of its id."""
    return row["id"].split("-")[1]


def _row(number: int, decision: str, world: World, balance: LabelBalance, settings: Settings) -> dict:
    rng = world.rng
    kind = "person" if rng.random() < 0.6 else "company"
    remark = balance.rarest(kind, decision, REMARKS[kind])
    for attempt in itertools.count():
        if attempt % _TRIES == 0:
            sizes = crm_records.draw_sizes(kind, rng, settings)
        noted = not settings.compact and rng.random() < _NOTED
        name = rng.choice((cases.NOTED if noted else cases.DECIDED)[kind][decision])
        case = cases.draw(name, world)
        left, right = crm_records.write(case, decision, sizes, remark, world, settings)
        if left == right:
            continue
        evidence = compare(left, right)
        if rules.decide(evidence) != decision or (decision != rules.POSSIBLE and case.same != (decision == rules.DUPLICATE)):
            continue
        traits = [*map(fields.concept_of, left), *map(fields.concept_of, right)]
        traits += [told for side in (evidence.a, evidence.b) for told, _ in notes.read(side.get("notes", ""))]
        if balance.admits(kind, decision, traits, rng):
            break
    balance.add(kind, decision, traits)
    if settings.compact:
        explained = reasoning.write_plainly(evidence)
    else:
        explained = balance.pick(decision, [reasoning.write(evidence, decision, rng) for _ in range(_DRAFTS)])
    return row(f"synth-{world.country.locale}-{number:07d}", name, case.clusters, (left, right), decision, explained)


def row(name: str, case: str, clusters: tuple[str, str], records: tuple[dict, dict], decision: str, explained: str) -> dict:
    """Return one line of the file: `name` is its id, `case` its slice."""
    return {
        "id": name,
        "slice": case,
        "cluster_a": clusters[0],
        "cluster_b": clusters[1],
        "input": {"record_a": records[0], "record_b": records[1]},
        "output": {"decision": decision, "reasoning": explained},
    }
