"""The letter case in which a model reads two records: it sees differences where a person sees none.

>>> alike(Record(Name="ANN LEE"), Record(Name="Ann Lee", Email="ANN@LEE.EXAMPLE"))
({'Name': 'Ann Lee'}, {'Name': 'Ann Lee', 'Email': 'ann@lee.example'})
"""

import functools
import re

from crm_dedup_plugin.pair.record import Record, normalise
from crm_dedup_plugin.policy.fields import Kind, concept_of, kind_of

LONG = 6  # letters from which on one word in capitals is no code such as IBM, GMBH or DE
_ADDRESS = re.compile(r"[^\s@/]+@[^\s@/]+")
_WORD = re.compile(r"(?<!\w)[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*(?!\w)")  # letters with their accents, and no digit beside them


def alike(record_a: Record, record_b: Record) -> tuple[Record, Record]:
    """Return two records with e-mail addresses in lower case, and in title case what only one of them writes in capitals throughout.

    Nothing but letter case changes. The order of the records makes no difference, and a second time changes nothing.
    """
    a, b = (_changed(one, {name: _ADDRESS.sub(_lower, value) for name, value in one.items() if "@" in value}) for one in (record_a, record_b))
    return _titled(a, b), _titled(b, a)


def _titled(record: Record, other: Record) -> Record:
    found = {}
    for name in (name for name, value in record.items() if value.isupper() and kind_of(name) is Kind.ATTRIBUTE and concept_of(name) != "postcode"):
        own, others = _text(record, name), _text(other, name)
        words = _WORD.findall(own)
        if own.isupper() and others != others.upper() and (len(words) > 1 or len("".join(words)) >= LONG):
            known = {word.casefold(): word for word in _WORD.findall(others)}  # GmbH stays GmbH
            found[name] = _WORD.sub(lambda word, known=known: known.get(word[0].casefold(), word[0].capitalize()), record[name])
    return _changed(record, found)


def _text(record: Record, name: str) -> str:
    """Return all that a record holds of what a field is about; the parts of a person's name are one."""
    about = _about(name)
    return " ".join(value for field, value in record.items() if _about(field) == about)


@functools.lru_cache(maxsize=10_000)
def _about(name: str) -> str:
    concept = concept_of(name)
    return "name" if concept in ("first", "last") else concept or name.casefold()


def _lower(found: re.Match) -> str:
    return found[0].lower()


def _changed(record: Record, values: dict[str, str]) -> Record:
    if all(record[name] == value for name, value in values.items()):
        return record
    changed = Record({**record, **values})
    return record if normalise(changed)[1] else changed  # a letter of the other case may need more bytes
