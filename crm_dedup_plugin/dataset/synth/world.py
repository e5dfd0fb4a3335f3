"""A small invented world: a company or two, their people, and the people's families.

A case, true or misleading, is two states of such a world. Values are kept here in one form, by concept; `mistakes`
and `formats` turn them into what a record shows. Names are (native, Latin); telephone numbers are what `Country.phone` returns.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from anyascii import anyascii

from crm_dedup_plugin.dataset.synth.countries import LATIN_LEGAL_FORMS, ROLES, Country, Name

HOME = ("street", "city", "postcode", "country")
EMPLOYER = ("company", "phone", "website", *HOME, "domain")  # what the people of a company share


@dataclass
class Entity:
    """One person or company: `id` is its cluster, `values` what is known of it by concept."""

    id: str
    values: dict[str, object]
    given: list[Name] = field(default_factory=list)  # names for the rest of the family

    def take(self, *concepts: str) -> dict[str, object]:
        """Return the values of these concepts, as far as the entity has them."""
        return {concept: self.values[concept] for concept in concepts if concept in self.values}


@dataclass
class Case:
    """What a pair is about: two states of the world, the truth about them, and what the two records must bring out."""

    left: dict[str, object]
    right: dict[str, object]
    clusters: tuple[str, str]
    mistakes: dict[str, Callable] = field(default_factory=dict)  # by concept, made in one of the records
    scripts: bool = False  # one record in the native script, one in Latin letters
    note: tuple[str, str] | None = None  # kind of note in the right record, and the concept of the left record that it names
    hidden: frozenset[str] = frozenset()  # concepts that neither record shows, so that the note decides

    @property
    def same(self) -> bool:
        """Tell the truth: whether both records describe one entity."""
        return self.clusters[0] == self.clusters[1]

    @property
    def kind(self) -> str:
        """Return "person" or "company"."""
        return "person" if "first" in self.left else "company"


def one(entity: Entity, changed: dict[str, object] | None = None) -> Case:
    """Return a case of one entity; in its second record it has the values `changed`."""
    return Case(entity.values, entity.values | (changed or {}), (entity.id, entity.id))


def two(left: Entity, right: Entity) -> Case:
    """Return a case of two entities."""
    return Case(left.values, right.values, (left.id, right.id))


class World:
    """Some companies and people of one country, made as they are asked for."""

    def __init__(self, number: int, country: Country, rng: random.Random):
        self.number, self.country, self.rng = number, country, rng
        self.count = 0
        self.known: dict[str, list[Entity]] = {"person": [], "company": []}

    def pick(self, kind: str) -> Entity:
        """Return a person or a company of this world, either a known one or a new one."""
        if self.known[kind] and self.rng.random() < 0.4:
            return self.rng.choice(self.known[kind])
        entity = self.person() if kind == "person" else self.company()
        self.known[kind].append(entity)
        return entity

    def person(self, **values: object) -> Entity:
        """Return somebody new; `values` are fixed beforehand: the name, the employer's details, the address."""
        last, given = self.country.family()
        person = {"first": given[0], "last": last, **self.country.address(self.rng), **self._employment(), **values}
        person["mobile"] = values.get("mobile") or self.country.phone("mobile")
        person["birth"] = values.get("birth") or self.birth()
        person["email"] = values.get("email") or self.email(person)
        return Entity(self._id(), person, given[1:])

    def relative(self, person: Entity, **values: object) -> Entity:
        """Return another member of a person's family, with the same family name and address unless `values` say otherwise."""
        first = person.given[self.count % len(person.given)]
        made = self.person(**{"first": first, **person.take("last", *HOME), **values})
        made.given = person.given
        return made

    def birth(self) -> tuple[int, int, int]:
        """Return a date of birth: year, month, day."""
        return self.rng.randint(1945, 2004), self.rng.randint(1, 12), self.rng.randint(1, 28)

    def email(self, person: dict) -> str:
        """Return a new address of a person: at work or private where the employer has a domain, private otherwise."""
        first, last = (_plain(person[key][1]) or "x" for key in ("first", "last"))
        if person.get("domain") and self.rng.random() < 0.5:
            return f"{self.rng.choice((f'{first}.{last}', f'{first[0]}.{last}', f'{first[0]}{last}', f'{first}.{last}'))}@{person['domain']}"
        mark = self.number * 7 % 9973 + self.count
        user = self.rng.choice((f"{first}.{last}", f"{first[0]}{last}", f"{last}.{first}", f"{first}_{last}", first))
        return f"{user}{mark}@{self.rng.choice(self.country.mail_domains)}"

    def company(self, **values: object) -> Entity:
        """Return a new company with one site; `values` are fixed beforehand."""
        brand = values.get("brand") or self.country.brand()
        trade, legal = values.get("trade") or self.rng.choice(self.country.trades), values.get("legal") or self.rng.choice(self.country.legal_forms)
        letters = self.rng.choice((0, 3, 12))  # of the trade, in the domain
        domain = values.get("domain") or self._domain(brand, _plain(trade)[:letters])
        company = {"brand": brand, "trade": trade, "legal": legal, "company": self._company_name(brand, trade, legal), "domain": domain}
        company |= {"website": domain, "phone": self.country.phone("fixed"), "tax": self.country.tax(), **self.country.address(self.rng)}
        company["email"] = f"{self.rng.choice(('info', 'office', 'sales', 'contact', 'info'))}@{domain}"
        return Entity(self._id(), company | values)

    def renamed(self, company: Entity, brand: Name) -> dict[str, object]:
        """Return what changes when a company takes another brand."""
        return {"brand": brand, "company": self._company_name(brand, company.values["trade"], company.values["legal"])}

    def _employment(self) -> dict[str, object]:
        self.known["company"] = self.known["company"] or [self.company()]
        if self.rng.random() < 0.3:  # a private person
            return {}
        return {**self.rng.choice(self.known["company"]).take(*EMPLOYER), "role": self.rng.choice(ROLES)}

    def _company_name(self, brand: Name, trade: str, legal: list[str]) -> Name:
        language, latin = self.country.language, self.country.latin
        latin_trade = trade if trade.isascii() or latin else anyascii(trade).capitalize()
        latin_name = f"{brand[1]} {latin_trade} {LATIN_LEGAL_FORMS.get(language, legal[0])}"
        native = brand[1] if latin else brand[0]
        glue = "" if language in ("zh", "ja") else " "
        if language in ("ja", "ko", "ru") and not latin:
            return f"{legal[0]} {native}{glue}{trade}", latin_name
        return f"{native}{glue}{trade} {legal[0]}", latin_name

    def _domain(self, brand: Name, trade: str) -> str:
        hyphen = "-" if trade and self.rng.random() < 0.4 else ""
        mark = str(self.number % 997) if self.rng.random() < 0.3 else ""
        return f"{_plain(brand[1]) or 'firm'}{hyphen}{trade}{mark}.{self.rng.choice((self.country.top_level_domain, 'com'))}"

    def _id(self) -> str:
        self.count += 1
        return f"w{self.number}e{self.count}"


@lru_cache(maxsize=50_000)
def _plain(text: str) -> str:
    """Return the letters and digits of a name that can stand in a domain."""
    return re.sub(r"[^a-z0-9]", "", anyascii(text).lower())
