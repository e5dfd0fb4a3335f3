"""From a case to two records of a CRM: which fields each shows, what its notes say, mistakes, and the formats of the CRM."""

import random
from dataclasses import dataclass

from crm_dedup_plugin.dataset import VOCABULARY
from crm_dedup_plugin.dataset.synth import formats, mistakes
from crm_dedup_plugin.dataset.synth.world import Case, World
from crm_dedup_plugin.pair.record import normalise
from crm_dedup_plugin.policy import fields, notes, rules
from crm_dedup_plugin.policy.vocabulary import load

_KINDS = {"person": [str], "company": [str]}
_FIELDS = load("crm_records", {"identifiers": _KINDS, "context": _KINDS, "shareable": [str], "remarks": _KINDS}, VOCABULARY)
REMARKS = _FIELDS["remarks"]
_SHORT = 300  # characters of all values: too few to reach any limit of a record

Sizes = tuple[tuple[int, int], tuple[int, int]]  # identifiers and other fields of the left and of the right record
Wanted = tuple[set[str], set[str]]  # concepts that the left and the right record show


@dataclass(frozen=True)
class Settings:
    """What kind of records to write: `compact` for few fields in Latin letters, `unseen` for what training never has."""

    compact: bool = False
    unseen: bool = False


def draw_sizes(kind: str, rng: random.Random, settings: Settings) -> Sizes:
    """Return how many fields each record shall have, drawn before the decision is known, so that they do not give it away."""
    if settings.compact:
        identifiers = 1 if kind == "person" else 2
        return (identifiers, 0), (identifiers, 0)
    left, right = rng.choice(((1, 1), (1, 1), (1, 2), (2, 1)) if kind == "person" else ((1, 2), (2, 1), (2, 2), (2, 2)))
    most = 5 if kind == "person" else 4
    return (left, rng.randint(0, most)), (right, rng.randint(0, most))


def write(case: Case, decision: str, sizes: Sizes, remark: str, world: World, settings: Settings) -> tuple[dict, dict]:
    """Return the two records of a case, in random order; `remark` is the kind of note for records whose note decides nothing."""
    rng, is_person = world.rng, case.kind == "person"
    schemas = list((fields.UNSEEN_SCHEMAS if settings.unseen else fields.SCHEMAS).values())
    schema = rng.choice(schemas)
    wanted = _choose_fields(case, decision, sizes, rng, settings)
    latin = world.country.latin or rng.random() < 0.5
    mistaken, written = rng.randrange(2), []
    for side, values in enumerate((case.left, case.right)):
        same_schema = settings.compact or rng.random() < 0.65
        in_latin = latin != (case.scripts and side == 1)
        habits = formats.Habits(rng, schema if same_schema else rng.choice(schemas), in_latin, settings.compact)
        told = {*wanted[side], "suffix"}
        texts = {concept: formats.text(concept, value, habits) for concept, value in values.items() if concept in told}
        if "notes" in wanted[side]:
            texts["notes"] = _notes(case, side, remark, world, habits)
        if side == mistaken:
            texts |= {concept: case.mistakes[concept](text, rng) for concept, text in texts.items() if concept in case.mistakes}
        if not settings.compact:
            mistakes.in_crm_record(texts, rng, settings.unseen)
        written.append(formats.record(texts, wanted[side], habits, is_person))
    if rng.random() < 0.5:
        written.reverse()
        case.clusters = case.clusters[::-1]
    return tuple(record if _is_normal(record) else normalise(record)[0] for record in written)


def _is_normal(record: dict[str, str]) -> bool:
    """Tell at a glance that a record is normalised, as most are: the full check would take a quarter of all time."""
    values = record.values()
    return sum(map(len, values)) < _SHORT and all(value.isprintable() and value == value.strip() and value for value in values)


def _choose_fields(case: Case, decision: str, sizes: Sizes, rng: random.Random, settings: Settings) -> Wanted:
    """Return what each record shows: the same identifiers where the pair shall be decided, different ones where it shall not."""
    kind = case.kind
    identifiers, *context = (rng.sample(_FIELDS[name][kind], len(_FIELDS[name][kind])) for name in ("identifiers", "context", "context"))
    if rng.random() < 0.6:
        context[1] = context[0]
    apart = (decision == rules.POSSIBLE and rng.random() < 0.7) or (decision == rules.NO_MATCH and rng.random() < 0.2)
    name, taken = {"first", "last"} if kind == "person" else {"company"}, (identifiers, identifiers[::-1] if apart else identifiers)
    wanted = tuple(name | {*taken[side][: sizes[side][0]], *context[side][: sizes[side][1]]} for side in range(2))
    if case.note:
        _make_room_for_note(case, wanted)
    elif rng.random() < (0.15 if settings.compact else 0.6):
        _share_a_field(case, wanted, rng)
    if not settings.compact and not case.note and rng.random() < 0.5:
        wanted[rng.randrange(2)].add("notes")
    return wanted


def _make_room_for_note(case: Case, wanted: Wanted) -> None:
    """Let the right record have notes, and the left one the value that they name."""
    (note, concept), (left, right) = case.note, wanted
    right.add("notes")
    left.add(concept)
    if note.endswith("_contact"):
        right.discard(concept)
    if note.startswith("shared_"):
        right.add(concept)
    for side in wanted:
        side -= case.hidden


def _share_a_field(case: Case, wanted: Wanted, rng: random.Random) -> None:
    """Let both records show a value in which they agree, in place of another field: this makes near misses."""
    shared = [concept for concept in _FIELDS["shareable"] if concept in case.left and case.left[concept] == case.right.get(concept)]
    if not shared:
        return
    concept = rng.choice(shared)
    for side in wanted:
        spare = sorted(side & set(_FIELDS["context"][case.kind]) - {concept})
        if spare and concept not in side:
            side.remove(rng.choice(spare))
        side.add(concept)


def _notes(case: Case, side: int, remark: str, world: World, habits: formats.Habits) -> str:
    """Return the notes of one record: what the case is about, or otherwise a remark of no weight for this pair."""
    rng, clauses = world.rng, []
    if case.note and side == 1 and case.note[1] in case.left:
        told, concept = case.note
        value = "" if told in notes.BARE else formats.text(concept, case.left[concept], habits)
        clauses = [notes.write(told, rng.randrange(100), value)]
    elif rng.random() < 0.95:
        clauses = [_remark(remark if rng.random() < 0.85 else rng.choice(REMARKS[case.kind]), world, habits)]
    if not clauses or rng.random() < 0.3:
        clauses.insert(rng.randrange(2), notes.write("none", rng.randrange(100)))
    return "; ".join(clauses)


def _remark(told: str, world: World, habits: formats.Habits) -> str:
    """Return a clause about people, companies or places outside this pair."""
    rng = world.rng
    if told in notes.BARE:
        return notes.write(told, rng.randrange(100))
    stranger = world.person() if told in ("maiden", "met", "own_contact", "others_contact") else world.company()
    concept = {"maiden": "last", "met": "last", "moved": "street", "head_office": "street"}.get(told, "company")
    if told in ("own_contact", "others_contact"):
        concept = rng.choice(("email", "mobile"))
    return notes.write(told, rng.randrange(100), formats.text(concept, stranger.values[concept], habits))
