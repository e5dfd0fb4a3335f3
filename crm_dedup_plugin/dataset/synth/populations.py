"""The records of a list whose entities live together: families and firms at one address, namesakes, and some entities several times."""

import copy
import random
from collections.abc import Iterator

from crm_dedup_plugin.dataset.synth import cases, list_records
from crm_dedup_plugin.dataset.synth.countries import Country
from crm_dedup_plugin.dataset.synth.mistakes import TEXTS
from crm_dedup_plugin.dataset.synth.regimes import KINDS, Regime
from crm_dedup_plugin.dataset.synth.world import Entity, World

_MOST = 8  # records of an entity
_NEAR = 30  # entities before one that may be like it
_PLACES, _NAMES = (0.02, 0.1, 0.3, 1.0), (0.1, 0.3, 1.0)  # shares of a country that a list knows
_SECOND_NAME, _EXCHANGED = 0.7, 0.05


class Population(World):
    """Everybody in one list; cases are of the entity `chosen`."""

    def __init__(self, number: int, country: Country, regime: Regime, rng: random.Random):
        super().__init__(number, country.part(rng.choice(_PLACES), rng.choice(_NAMES), rng), rng)
        self.regime, self.listed = regime, cases.LISTED[KINDS[regime.kind].listed]
        self.chosen: Entity | None = None
        self.of_people = KINDS[regime.kind].listed in ("people", "names of people")

    def pick(self, kind: str) -> Entity:
        """Return the entity that a case is to be of."""
        return self.chosen or super().pick(kind)

    def birth(self) -> tuple[int, int, int]:
        """Return a date of birth in the time of the list."""
        year, month, day = super().birth()
        return year - self.regime.past, month, day

    def rows(self, entities: int) -> list[dict[str, str]]:
        """Return the records of this many entities in random order, as texts by concept, each with an ``id`` and its ``entity``."""
        rows = [{"entity": entity.id, **texts} for entity in self.entities(entities) for texts in self._records(entity)]
        self.rng.shuffle(rows)
        return [{"id": str(number), **row} for number, row in enumerate(rows)]

    def entities(self, count: int) -> list[Entity]:
        """Return new entities, some of them like one of those before them."""
        found: list[Entity] = []
        while len(found) < count:
            if self.of_people and self.rng.random() < self.regime.new_firm:
                self.known["company"] = [self.company()]
            made = self._like(self.rng.choice(found[-_NEAR:])) if found and self.rng.random() < self.regime.alike else self._new()
            made.values["gender"] = list_records.gender(made.id)
            found.append(made)
        return found

    def _new(self) -> Entity:
        return self.person() if self.of_people else self.company()

    def _like(self, entity: Entity) -> Entity:
        """Return another entity that shares something with this one."""
        case = self._case(self.listed["other"], entity, same=False)
        return Entity(case.clusters[1], dict(case.right), entity.given)

    def _case(self, names: tuple[str, ...], entity: Entity, same: bool) -> cases.Case:
        self.chosen = entity
        case = cases.draw(self.rng.choice(names), self)
        while case.same != same:
            case = cases.draw(self.rng.choice(names), self)
        self.chosen = None
        return case

    def _records(self, entity: Entity) -> Iterator[dict[str, str]]:
        """Yield the records of an entity. The first says what is true today."""
        rng, regime, size = self.rng, self.regime, 1
        if rng.random() < regime.several:
            size = 2
            while size < _MOST and rng.random() < regime.more:
                size += 1
        second = self.country.family()[1][0] if regime.second_names and self.of_people else None
        for number in range(size):
            values, scripts = entity.values, False
            if number:
                case = self._case(regime.changes, entity, same=True)
                values, scripts = case.right, case.scripts
                values = values | list_records.outdated(values, [*regime.columns], self, regime.outdated)
            if second and rng.random() < _SECOND_NAME:
                values = values | {"first": tuple(f"{first} {more}" for first, more in zip(values["first"], second, strict=True))}
            yield self._record(values, number, scripts)

    def _record(self, values: dict, number: int, scripts: bool) -> dict[str, str]:
        """Return a record as one of the sources has written it down."""
        rng, regime = self.rng, self.regime
        source = rng.choice(regime.sources)
        habits = copy.copy(source.habits)
        habits.latin = regime.latin != (scripts or (number > 0 and rng.random() < regime.other_script))
        values = values | {"entry": self._entry()}
        texts = {concept: list_records.text(concept, values, habits) for concept in regime.columns}
        kept = {
            concept: text
            for concept, text in texts.items()
            if text and (concept in list_records.NEVER_MISSING or rng.random() >= regime.missing[concept])
        }
        if number or not regime.clean_first:
            kept = {concept: self._damaged(concept, text) for concept, text in kept.items()}
            if {"first", "last"} <= kept.keys() and rng.random() < _EXCHANGED * regime.damaged["first"]:
                kept["first"], kept["last"] = kept["last"], kept["first"]
        return {concept: source.letters(text) if concept in TEXTS else text for concept, text in kept.items()}

    def _entry(self) -> str:
        """Return what stands in a record beside its entity: an order, a payment, a day, other people."""
        rng, told = self.rng, self.regime.told
        if told == "people":
            names = (f"{rng.choice(self.country.last)[1]} {rng.choice(self.country.first)[1]}" for _ in range(rng.randint(1, 5)))
            return ", ".join(names)
        if told == "days":
            return f"{rng.randint(2000, 2025)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        return f"{rng.randint(1, 9999)}.{rng.randint(0, 99):02d}" if told == "amounts" else f"{rng.choice('ABCDEFGH')}{rng.randint(1, 99999):05d}"

    def _damaged(self, concept: str, text: str) -> str:
        rng, regime = self.rng, self.regime
        made = regime.mistakes.get(concept)
        while made and rng.random() < regime.damaged[concept]:
            text = rng.choice(made)(text, rng) or text
            if rng.random() >= regime.again:
                break
        return text
