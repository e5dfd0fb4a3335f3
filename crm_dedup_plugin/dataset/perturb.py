"""Changes to a pair of records that must not change what a steward decides: order, field names, hidden instructions.

Records are normalised (`pair.record.normalise`). Every function returns a new pair and leaves the given one alone.

>>> swap(({"Name": "Ann"}, {"Name": "Bo"}))
({'Name': 'Bo'}, {'Name': 'Ann'})
"""

from collections.abc import Sequence
from random import Random

from crm_dedup_plugin.pair.record import normalise
from crm_dedup_plugin.policy.attacks import Attack
from crm_dedup_plugin.policy.fields import SCHEMAS, concept_of

Record = dict[str, str]
Pair = tuple[Record, Record]

# Where people write free text, or text that nobody checks.
OPEN_CONCEPTS = ("notes", "name", "first", "last", "street", "company", "email")
NOTES = ("Notes", "Description", "Comments", "Remarks")


def swap(pair: Pair) -> Pair:
    """Return the pair with its records exchanged."""
    return dict(pair[1]), dict(pair[0])


def shuffle(pair: Pair, rng: Random) -> Pair:
    """Return the pair with the fields of each record in random order, under the names of another CRM."""
    return _shuffled(pair[0], rng), _shuffled(pair[1], rng)


def inject(pair: Pair, rng: Random, attacks: Sequence[Attack], target: str) -> Pair:
    """Return the pair with one attack that asks for `target` in one field of one record.

    The field keeps what it held, and the limits of a record never cut the attack.
    """
    text, side = rng.choice(attacks).text(target), rng.randrange(2)
    attacked = _inject(pair[side], rng, text)
    return (attacked, dict(pair[1])) if side == 0 else (dict(pair[0]), attacked)


def _shuffled(record: Record, rng: Random) -> Record:
    schemas = list(SCHEMAS)
    rng.shuffle(schemas)
    renamed = (_renamed(record, SCHEMAS[name], rng) for name in schemas)
    fields = list(next((fields for fields in renamed if fields.keys() != record.keys()), record).items())
    rng.shuffle(fields)
    return dict(fields)


def _renamed(record: Record, schema: dict[str, tuple[str, ...]], rng: Random) -> Record:
    """Return the record with each known field under a name of `schema` that is still free, else under its own."""
    fields: Record = {}
    for name, value in record.items():
        free = [new for new in schema.get(concept_of(name) or "", ()) if new not in fields and new not in record]
        fields[rng.choice(free) if free else name] = value
    return fields


def _inject(record: Record, rng: Random, text: str) -> Record:
    notes = rng.choice([name for name in NOTES if name not in record] or ["Further notes"])
    places = [name for name in record if concept_of(name) in OPEN_CONCEPTS] + [notes]
    rng.shuffle(places)
    for name in places:
        old = record.get(name, "")
        new = rng.choice((f"{old} {text}", f"{text} {old}")).strip()
        attacked = {**record, name: new}
        if normalise(attacked) == (attacked, []):
            return attacked
    return normalise({notes: text, **record})[0]  # a full record: its last fields give way
