"""What a column of a CRM is, from its name alone: the only place that decides it. The names are in vocabulary/field_names.yml.

>>> concept_of("MobilePhone"), concept_of("address1_city"), concept_of("Colour")
('mobile', 'city', None)
>>> kind_of("Assistant's Phone"), concept_of("Assistant's Phone")
(<Kind.SOMEBODY_ELSE: 'somebody else'>, None)
"""

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache

from crm_dedup_plugin.policy.vocabulary import load

# Concept: what it is called in a sentence. The order is that in which a steward looks at a pair.
CONCEPTS = {
    "first": "first name", "last": "last name", "name": "name", "suffix": "name suffix", "company": "company",
    "email": "e-mail", "mobile": "mobile", "birth": "date of birth", "tax": "tax number", "phone": "phone",
    "website": "website", "street": "street", "postcode": "postcode", "city": "city", "country": "country",
    "role": "job title", "salutation": "salutation", "notes": "notes",
}  # fmt: skip


class Kind(StrEnum):
    """What a column is. Only attributes and identifiers of the entity have a concept, and not all of them."""

    ATTRIBUTE = "attribute"
    ENTITY_ID = "identifier of the entity"
    SYSTEM_ID = "identifier of the system"
    SOMEBODY_ELSE = "somebody else"
    ADMINISTRATION = "administration"


_SCHEMA = {"name": [str], **{concept: [str] for concept in CONCEPTS}}
_WORDS = load(
    "field_names",
    {
        "schemas": {str: _SCHEMA},
        "unseen_schemas": {str: _SCHEMA},
        "names": {f"{concept}?": [str] for concept in CONCEPTS},
        "kinds": [{f"{kind}?": [str] for kind in Kind}],
        "concepts": [{f"{concept}?": re.Pattern for concept in ("none", *CONCEPTS)}],
        "placeholders": [str],
    },
)
SCHEMAS: dict[str, dict[str, tuple[str, ...]]] = _WORDS["schemas"]
UNSEEN_SCHEMAS: dict[str, dict[str, tuple[str, ...]]] = _WORDS["unseen_schemas"]  # never used for training
_PLACEHOLDERS = frozenset(_WORDS["placeholders"])


def _phrases(phrases: tuple[str, ...]) -> re.Pattern:
    """Return a pattern for any of the phrases, as whole words; * stands for any letters."""
    pattern = "|".join(re.escape(phrase).replace(r"\*", "[a-z]*") for phrase in phrases)
    return re.compile(rf"\b(?:{pattern})\b")


_KINDS = tuple((Kind(kind), _phrases(phrases)) for entry in _WORDS["kinds"] for kind, phrases in entry.items())
_CONCEPTS = tuple(item for entry in _WORDS["concepts"] for item in entry.items())


def kind_of(name: str) -> Kind:
    """Return what a column with this name is; an attribute of the entity where nothing shows otherwise."""
    return _read(name)[0]


def concept_of(name: str) -> str | None:
    """Return the key of `CONCEPTS` that a column stands for, or None where it says nothing of the entity that the policy uses."""
    return _read(name)[1]


@lru_cache(maxsize=4096)
def _read(name: str) -> tuple[Kind, str | None]:
    words = words_of(name)
    concept = _KNOWN.get(words.replace(" ", ""))
    kind = Kind.ATTRIBUTE if concept else next((kind for kind, pattern in _KINDS if pattern.search(words)), Kind.ATTRIBUTE)
    if kind in (Kind.ATTRIBUTE, Kind.ENTITY_ID):
        concept = concept or next((concept for concept, pattern in _CONCEPTS if pattern.search(words)), None)
    if concept == "tax":
        return Kind.ENTITY_ID, concept
    return kind, concept if kind is Kind.ATTRIBUTE and concept != "none" else None


def words_of(name: str) -> str:
    """Return the words of a name in any style (snake, camel, spaces), in lower case and without accents: "mailing street"."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})", " ", re.sub(r"['’](?=s\b)", "", plain))
    return " ".join(re.findall(r"[^\W_]+", spaced.casefold()))


_KNOWN = {
    words_of(name).replace(" ", ""): concept
    for table in (*SCHEMAS.values(), *UNSEEN_SCHEMAS.values(), _WORDS["names"])
    for concept, names in table.items()
    for name in names
}


@lru_cache(maxsize=65536)
def is_placeholder(value: str) -> bool:
    """Tell whether a value only fills a mandatory field: n/a, test@test.com, 0000."""
    text = value.strip().casefold()
    return not text or text in _PLACEHOLDERS or re.sub(r"[\s()+/.-]", "", text) in _PLACEHOLDERS


def by_concept(record: dict[str, str]) -> dict[str, str]:
    """Return the values of a record by concept, without placeholders; the first field of a concept counts."""
    values: dict[str, str] = {}
    for name, value in record.items():
        concept = concept_of(name)
        if concept and not is_placeholder(value) and not (concept == "email" and "@" not in value):
            values.setdefault(concept, value)
    return values
