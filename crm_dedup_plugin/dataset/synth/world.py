"""A small world: companies with sites and sisters, their people, and the people's families and lives.

Every pair of records, duplicate or not, is taken from one of these. Values are canonical here; `noise` and `render`
turn them into what a CRM holds. Names are (native, Latin), phone numbers are the ways to write one number.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import lru_cache

from anyascii import anyascii

from crm_dedup_plugin.dataset.synth.pools import Pool
from crm_dedup_plugin.dataset.synth.words import LATIN_LEGAL, ROLES, TOP_LEVEL


@dataclass
class Entity:
    """One person or company: `id` is its cluster, `values` what is known of it by concept."""

    id: str
    values: dict[str, object]
    given: list[tuple[str, str]] = field(default_factory=list)  # names for the rest of the family


class World:
    """One company and the people around it, made as they are asked for."""

    def __init__(self, number: int, pool: Pool, rng: random.Random):
        self.number, self.pool, self.rng = number, pool, rng
        self.count = 0
        self.known: dict[str, list[Entity]] = {"person": [], "company": []}

    def pick(self, kind: str) -> Entity:
        """Return a person or a company of this world, one that is known already or a new one."""
        if self.known[kind] and self.rng.random() < 0.4:
            return self.rng.choice(self.known[kind])
        entity = self.person() if kind == "person" else self.company()
        self.known[kind].append(entity)
        return entity

    def person(self, **values: object) -> Entity:
        """Return somebody new; `values` are known beforehand: the name, the employer's details, the address."""
        last, given = self.pool.family()
        person = {"first": given[0], "last": last, **self.pool.address(self.rng), **self._employment(), **values}
        person["mobile"] = values.get("mobile") or self.pool.phone("mobile")
        person["birth"] = values.get("birth") or self.birth()
        person["email"] = values.get("email") or self.email(person)
        return Entity(self._id(), person, given[1:])

    def birth(self) -> tuple[int, int, int]:
        """Return a date of birth: year, month, day."""
        return self.rng.randint(1945, 2004), self.rng.randint(1, 12), self.rng.randint(1, 28)

    def relative(self, person: Entity, **values: object) -> Entity:
        """Return another member of a person's family, of the same name and address unless `values` say otherwise."""
        shared = {key: person.values[key] for key in ("last", "street", "city", "postcode", "country")}
        first = person.given[self.count % len(person.given)]
        made = self.person(**{"first": first, **shared, **values})
        made.given = person.given
        return made

    def employer(self, company: Entity) -> dict[str, object]:
        """Return what the people of a company share."""
        shared = {key: company.values[key] for key in ("company", "phone", "website", "street", "city", "postcode", "country")}
        return {**shared, "domain": company.values["domain"]}

    def company(self, **values: object) -> Entity:
        """Return a new company with one site."""
        brand = values.get("brand") or self.pool.brand()
        trade, legal = values.get("trade") or self.rng.choice(self.pool.trades), values.get("legal") or self.rng.choice(self.pool.legal)
        stem = _plain(brand[1]) or "firm"
        tail = _plain(trade)[: self.rng.choice((0, 3, 12))]
        domain = values.get("domain") or f"{stem}{'-' if tail and self.rng.random() < 0.4 else ''}{tail}{self._mark()}.{self._top_level()}"
        company = {"brand": brand, "trade": trade, "legal": legal, "company": self._named(brand, trade, legal), "domain": domain}
        company |= {"website": domain, "phone": self.pool.phone("fixed"), "tax": self.pool.tax(), **self.pool.address(self.rng)}
        company["email"] = f"{self.rng.choice(('info', 'office', 'sales', 'contact', 'info'))}@{domain}"
        company |= values
        return Entity(self._id(), company)

    def renamed(self, company: dict, **parts: object) -> dict:
        """Return a company's values with another brand, trade or legal form in its name."""
        values = {**company, **parts}
        return {**values, "company": self._named(values["brand"], values["trade"], values["legal"])}

    def email(self, person: dict) -> str:
        """Return a new address of a person: at work where the employer has a domain, private otherwise."""
        first, last = (_plain(person[key][1]) or "x" for key in ("first", "last"))
        if person.get("domain") and self.rng.random() < 0.5:
            return f"{self.rng.choice((f'{first}.{last}', f'{first[0]}.{last}', f'{first[0]}{last}', first + '.' + last))}@{person['domain']}"
        mark = self.number * 7 % 9973 + self.count
        user = self.rng.choice(
            (f"{first}.{last}{mark}", f"{first[0]}{last}{mark}", f"{last}.{first}{mark}", f"{first}_{last}{mark}", f"{first}{mark}")
        )
        return f"{user}@{self.rng.choice(self.pool.mail_domains)}"

    def _employment(self) -> dict[str, object]:
        self.known["company"] = self.known["company"] or [self.company()]
        if self.rng.random() < 0.3:  # a private person
            return {}
        return {**self.employer(self.rng.choice(self.known["company"])), "role": self.rng.choice(ROLES)}

    def _named(self, brand: tuple[str, str], trade: str, legal: tuple[str, ...]) -> tuple[str, str]:
        """Return a company's name in its own script and in Latin letters."""
        language = self.pool.language
        latin_trade = trade if trade.isascii() or self.pool.latin else anyascii(trade).capitalize()
        native = brand[0] if not self.pool.latin or brand[0] == brand[1] else brand[1]
        latin_legal = LATIN_LEGAL.get(language, legal)[0]
        front = language in ("ja", "ko", "ru") and not self.pool.latin
        parts = (legal[0], native, trade) if front else (native, trade, legal[0])
        glue = "" if language in ("zh", "ja") else " "
        name = f"{parts[0]} {parts[1]}{glue}{parts[2]}" if front else f"{parts[0]}{glue}{parts[1]} {parts[2]}"
        return name, f"{brand[1]} {latin_trade} {latin_legal}"

    def _top_level(self) -> str:
        return self.rng.choice((TOP_LEVEL.get(self.pool.region, self.pool.region.lower()), "com"))

    def _mark(self) -> str:
        return str(self.number % 997) if self.rng.random() < 0.3 else ""

    def _id(self) -> str:
        self.count += 1
        return f"w{self.number}e{self.count}"


@lru_cache(maxsize=50_000)
def _plain(text: str) -> str:
    """Return what of a name can stand in a domain."""
    return re.sub(r"[^a-z0-9]", "", anyascii(text).lower())
