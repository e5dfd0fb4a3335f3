"""From a scene to two records: which fields each shows, what its notes tell, what wear and the habits of a CRM do to it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from crm_dedup_plugin.dataset.synth import noise, render
from crm_dedup_plugin.dataset.synth.scene import Scene
from crm_dedup_plugin.dataset.synth.world import World
from crm_dedup_plugin.pair.record import normalise
from crm_dedup_plugin.policy import fields, notes, rules

_IDENTIFIERS = {"person": ("email", "mobile", "birth"), "company": ("tax", "website", "phone", "street")}
_CONTEXT = {
    "person": ("company", "role", "phone", "street", "city", "postcode", "country", "website", "notes", "tax"),
    "company": ("city", "postcode", "country", "email", "notes"),
}
REMARKS = {
    "person": ("maiden", "met", "employer", "client", "own_contact", "others_contact", "shared_email", "shared_mobile", "namesake"),
    "company": ("renamed", "related", "moved", "head_office"),
}
_SHAREABLE = ("company", "phone", "street", "city", "website")
_SHORT = 300  # characters of all values: too few to reach any limit of a record


@dataclass(frozen=True)
class Settings:
    """What kind of records to write: `compact` for few fields in Latin letters, `unseen` for what training never has."""

    compact: bool = False
    unseen: bool = False


@dataclass(frozen=True)
class Shape:
    """What is fixed before the decision is known, so that no single record gives it away: how much each record holds."""

    identifiers: tuple[int, int]
    context: tuple[int, int]


def draw_shape(kind: str, rng: random.Random, settings: Settings) -> Shape:
    """Return how many identifiers and other fields each record of a pair shall hold, drawn without regard to the decision."""
    if settings.compact:
        return Shape((1, 1) if kind == "person" else (2, 2), (0, 0))
    counts = ((1, 1), (1, 1), (1, 2), (2, 1)) if kind == "person" else ((1, 2), (2, 1), (2, 2), (2, 2))
    most = 5 if kind == "person" else 4
    return Shape(rng.choice(counts), (rng.randint(0, most), rng.randint(0, most)))


def records(
    scene: Scene, kind: str, decision: str, shape: Shape, remark: str, world: World, rng: random.Random, settings: Settings
) -> tuple[dict, dict]:
    """Return the two records of a scene; their order is random."""
    schemas = list((fields.UNSEEN_SCHEMAS if settings.unseen else fields.SCHEMAS).values())
    schema = rng.choice(schemas)
    wanted = _wanted(kind, decision, shape, rng)
    if scene.note:
        wanted[1].add("notes")
        wanted[0].add(scene.note[1])
        if scene.note[0].endswith("_contact"):
            wanted[1].discard(scene.note[1])
        if scene.note[0].startswith("shared_"):
            wanted[1].add(scene.note[1])
        for side in wanted:
            side -= scene.hidden
    elif rng.random() < (0.15 if settings.compact else 0.6):
        _focus(scene, wanted, kind, rng)
    if not settings.compact and not scene.note and rng.random() < 0.5:
        wanted[rng.randrange(2)].add("notes")
    latin = world.pool.latin or rng.random() < 0.5
    sides, written = [(scene.left, latin), (scene.right, not latin if scene.scripts else latin)], []
    worn = rng.randrange(2)
    for side, (values, in_latin) in enumerate(sides):
        other = settings.compact or rng.random() < 0.65
        habits = render.Habits(rng, schema if other else rng.choice(schemas), in_latin, settings.compact)
        texts = {concept: render.text(concept, value, habits) for concept, value in values.items() if concept in wanted[side] or concept == "suffix"}
        if "notes" in wanted[side]:
            texts["notes"] = _note(scene, side, kind, remark, world, habits, rng)
        if side == worn:
            texts = {
                concept: getattr(noise, scene.damage[concept])(text, rng) if concept in scene.damage else text for concept, text in texts.items()
            }
        if not settings.compact:
            _wear(texts, rng, settings)
        written.append(render.record(texts, wanted[side], habits, kind == "person"))
    if rng.random() < 0.5:
        written.reverse()
        scene.clusters = scene.clusters[::-1]
    return tuple(record if _is_normal(record) else normalise(record)[0] for record in written)


def _is_normal(record: dict[str, str]) -> bool:
    """Tell at a glance that a record is normal already, as most are: checking every byte takes a quarter of all time."""
    values = record.values()
    return sum(map(len, values)) < _SHORT and all(value.isprintable() and value == value.strip() and value for value in values)


def _wanted(kind: str, decision: str, shape: Shape, rng: random.Random) -> tuple[set[str], set[str]]:
    """Return the concepts of each record: shared identifiers where the pair shall be decided, others where it shall not."""
    identifiers = rng.sample(_IDENTIFIERS[kind], len(_IDENTIFIERS[kind]))
    context = [rng.sample(_CONTEXT[kind], len(_CONTEXT[kind])) for _ in range(2)]
    if rng.random() < 0.6:
        context[1] = context[0]
    apart = (decision == rules.POSSIBLE and rng.random() < 0.7) or (decision == rules.NO_MATCH and rng.random() < 0.2)
    name = {"first", "last"} if kind == "person" else {"company"}
    left = name | set(identifiers[: shape.identifiers[0]]) | set(context[0][: shape.context[0]])
    taken = identifiers[::-1] if apart else identifiers
    return left, name | set(taken[: shape.identifiers[1]]) | set(context[1][: shape.context[1]])


def _focus(scene: Scene, wanted: tuple[set[str], set[str]], kind: str, rng: random.Random) -> None:
    """Let both records hold something in which they agree, in place of something else: the near misses are the hard ones."""
    shared = [concept for concept in _SHAREABLE if concept in scene.left and scene.left[concept] == scene.right.get(concept)]
    if not shared:
        return
    concept = rng.choice(shared)
    for side in wanted:
        spare = sorted(side & set(_CONTEXT[kind]) - {concept})
        if spare and concept not in side:
            side.remove(rng.choice(spare))
        side.add(concept)


def _note(scene: Scene, side: int, kind: str, remark: str, world: World, habits: render.Habits, rng: random.Random) -> str:
    """Return the notes of one record: what the slice is about, or as often something of no weight for this pair."""
    if scene.note and side == 1 and scene.note[1] in scene.left:
        told, concept = scene.note
        value = "" if told in notes.BARE else render.text(concept, scene.left[concept], habits)
        clauses = [notes.write(told, rng.randrange(100), value)]
    elif rng.random() < 0.95:
        clauses = [_remark(remark if rng.random() < 0.85 else rng.choice(REMARKS[kind]), world, habits, rng)]
    else:
        clauses = []
    if not clauses or rng.random() < 0.3:
        clauses.insert(rng.randrange(2), notes.write("none", rng.randrange(100)))
    return "; ".join(clauses)


def _remark(told: str, world: World, habits: render.Habits, rng: random.Random) -> str:
    """Return a clause about people, companies and places outside this pair."""
    if told in notes.BARE:
        return notes.write(told, rng.randrange(100))
    stranger = world.person().values if told in ("maiden", "met", "own_contact", "others_contact") else world.company().values
    concept = {"maiden": "last", "met": "last", "moved": "street", "head_office": "street"}.get(told, "company")
    if told in ("own_contact", "others_contact"):
        concept = rng.choice(("email", "mobile"))
    return notes.write(told, rng.randrange(100), render.text(concept, stranger[concept], habits))


def _wear(texts: dict[str, str], rng: random.Random, settings: Settings) -> None:
    """Damage a few values of a record, whichever decision it belongs to."""
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        concept = rng.choice(list(texts))
        damages = noise.UNSEEN if settings.unseen and concept in ("first", "last", "company", "city", "street") else noise.BY_CONCEPT.get(concept)
        if damages:
            texts[concept] = rng.choice(damages)(texts[concept], rng)
