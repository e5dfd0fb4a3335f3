"""The letter case in which a model reads two records: it sees differences where a person sees none.

>>> alike(Record(Name="ANN LEE"), Record(Name="Ann Lee", Email="ANN@LEE.EXAMPLE"))
({'Name': 'Ann Lee'}, {'Name': 'Ann Lee', 'Email': 'ann@lee.example'})
"""

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
    a, b = _addresses(record_a), _addresses(record_b)
    if not any(value.isupper() for record in (a, b) for value in record.values()):
        return a, b
    texts_a, texts_b = _texts(a), _texts(b)
    return _titled(a, texts_a, texts_b), _titled(b, texts_b, texts_a)


def _addresses(record: Record) -> Record:
    return _changed(record, {name: _ADDRESS.sub(lambda found: found[0].lower(), value) for name, value in record.items() if "@" in value})


def _titled(record: Record, own: dict[str, str], others: dict[str, str]) -> Record:
    found = {}
    for name, value in record.items():
        text, other = own[_field(name)], others.get(_field(name), "")
        if text.isupper() and other != other.upper() and _is_no_code(name, text):
            known = {word.casefold(): word for word in _WORD.findall(other)}  # GmbH stays GmbH
            found[name] = _WORD.sub(lambda word, known=known: known.get(word[0].casefold(), word[0].capitalize()), value)
    return _changed(record, found)


def _texts(record: Record) -> dict[str, str]:
    """Return what a record holds of each field."""
    texts = {}
    for name, value in record.items():
        texts[_field(name)] = f"{texts[_field(name)]} {value}" if _field(name) in texts else value
    return texts


def _field(name: str) -> str:
    """Return what the fields of two records that hold the same are called alike; the parts of a person's name are one."""
    concept = concept_of(name)
    return "name" if concept in ("first", "last") else concept or name.casefold()


def _is_no_code(name: str, text: str) -> bool:
    words = _WORD.findall(text)
    return (len(words) > 1 or len("".join(words)) >= LONG) and kind_of(name) is Kind.ATTRIBUTE and concept_of(name) != "postcode"


def _changed(record: Record, values: dict[str, str]) -> Record:
    if all(record[name] == value for name, value in values.items()):
        return record
    changed = Record({**record, **values})
    return record if normalise(changed)[1] else changed  # a letter of the other case may need more bytes
