"""Labelled pairs of CRM records from an invented world: ``crm-dedup synth --n 50000 --seed 7 --out data/all.jsonl``.

A pair is drawn from a small world, worn, and written down as two CRMs would; the policy reads the two records and
decides. Where its decision is not the truth, the pair is thrown away: no label rests on what the records do not show.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

from crm_dedup_plugin.dataset.synth import scenarios, words
from crm_dedup_plugin.dataset.synth.balance import Balance
from crm_dedup_plugin.dataset.synth.compose import REMARKS, Settings, draw_shape, records
from crm_dedup_plugin.dataset.synth.pools import Pool
from crm_dedup_plugin.dataset.synth.world import World
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import fields, notes, reasoning, rules
from crm_dedup_plugin.policy.evidence import compare

PAIRS_OF_A_WORLD = 6
_TRIES = 8
_DRAFTS = 4
_STRENGTH, _STRENGTH_COMPACT = 8.0, 5.0
_NOTED = 0.6  # share of pairs in which the notes may decide
_SMALL = {"ar_SA", "ja_JP", "ko_KR", "no_NO", "da_DK", "ro_RO", "pt_PT", "pt_BR"}  # few names: fewer worlds
_COMPACT = ("en_US", "en_GB")

FULL = Settings()


class Dice(random.Random):
    """A generator whose small draws are three times as fast, with a bias of no weight here."""

    def choice(self, seq):
        """Return an element of `seq`."""
        return seq[int(self.random() * len(seq))]

    def randint(self, a: int, b: int) -> int:
        """Return a whole number from `a` to `b`."""
        return a + int(self.random() * (b - a + 1))

    def randrange(self, start: int, stop: int | None = None) -> int:
        """Return a whole number below `start`, or from `start` to below `stop`."""
        return int(self.random() * start) if stop is None else start + int(self.random() * (stop - start))


def generate(pairs: int, seed: int = 7, settings: Settings = FULL) -> Iterator[dict]:
    """Yield `pairs` labelled rows with clusters and slices, a third of each decision; equal arguments give equal rows."""
    rng = Dice(f"{seed} {settings}")
    known = pools(seed, _locales(settings))
    names = sorted(known)
    weights = [1 if name in _SMALL else 4 for name in names]
    balance = Balance(_STRENGTH_COMPACT if settings.compact else _STRENGTH)
    for number, world in worlds(pairs, lambda: known[rng.choices(names, weights)[0]], rng):
        yield _row(number, LABELS[number % len(LABELS)], world, balance, rng, settings)


def worlds(pairs: int, draw: Callable[[], Pool], rng: random.Random) -> Iterator[tuple[int, World]]:
    """Yield the number of each pair with the world that it comes from: a new one every few pairs, in what `draw` returns."""
    for number in range(pairs):
        if number % PAIRS_OF_A_WORLD == 0:
            world = World(number // PAIRS_OF_A_WORLD, draw(), rng)
        yield number, world


def locale_of(row: dict) -> str:
    """Return the locale of a generated row: the middle part of its id."""
    return row["id"].split("-")[1]


def pools(seed: int, locales: Iterable[str]) -> dict[str, Pool]:
    """Return what each locale offers."""
    return {locale: Pool(locale, seed) for locale in locales}


def _locales(settings: Settings) -> Iterable[str]:
    return words.UNSEEN_LOCALES if settings.unseen else _COMPACT if settings.compact else words.LOCALES


def _row(number: int, decision: str, world: World, balance: Balance, rng: random.Random, settings: Settings) -> dict:
    kind = "person" if rng.random() < 0.6 else "company"
    remark = balance.lacking(kind, decision, REMARKS[kind])
    while True:
        shape = draw_shape(kind, rng, settings)
        for _ in range(_TRIES):
            noted = not settings.compact and rng.random() < _NOTED
            scenario = rng.choice((scenarios.NOTED if noted else scenarios.BY_DECISION)[kind][decision])
            scene = scenario(world)
            left, right = records(scene, kind, decision, shape, remark, world, rng, settings)
            if left == right:
                continue
            evidence = compare(left, right)
            if rules.decide(evidence) != decision or (decision != rules.POSSIBLE and scene.same != (decision == rules.DUPLICATE)):
                continue
            traits = [*map(fields.concept_of, left), *map(fields.concept_of, right)]
            traits += [kind for side in (evidence.a, evidence.b) for kind, _ in notes.read(side.get("notes", ""))]
            if balance.admits(kind, decision, traits, rng):
                break
        else:
            continue
        balance.add(kind, decision, traits)
        if settings.compact:
            explained = reasoning.write_plainly(evidence)
        else:
            explained = balance.pick(decision, [reasoning.write(evidence, decision, rng) for _ in range(_DRAFTS)])
        return {
            "id": f"synth-{world.pool.locale}-{number:07d}",
            "slice": scenario.__name__,
            "cluster_a": scene.clusters[0],
            "cluster_b": scene.clusters[1],
            "input": {"record_a": left, "record_b": right},
            "output": {"decision": decision, "reasoning": explained},
        }
