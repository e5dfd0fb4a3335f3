"""The contacts of a CRM: most people once, some several times, and each record as somebody typed it.

People come in companies, whose switchboard and address they share, and in households; some have the name of somebody else.
Who is there several times has changed in between: another job, address, number or name.
"""

import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

from crm_dedup_plugin.dataset import VOCABULARY
from crm_dedup_plugin.dataset.synth import cases, formats, mistakes
from crm_dedup_plugin.dataset.synth.countries import LOCALES, Country, countries
from crm_dedup_plugin.dataset.synth.world import EMPLOYER, HOME, Entity, World
from crm_dedup_plugin.policy import notes
from crm_dedup_plugin.policy.vocabulary import load

_CRM = {
    **{"home": str, "ids": str, "dates": str, "columns": {str: [str]}},
    **dict.fromkeys(("file?", "quoted?", "mandatory?", "unique_email?", "several?"), str),
}
TABLES = load("exports", {"shown": {str: str}, "sizes": {str: str}, "not_given": [str], "crms": {str: _CRM}}, VOCABULARY)
_SHOWN = {concept: float(share) for concept, share in TABLES["shown"].items()}
_SIZES, _WEIGHTS = [int(size) for size in TABLES["sizes"]], [int(weight) for weight in TABLES["sizes"].values()]
_IN_GROUPS = 0.15  # share of the records whose person has others
_SCHEMA = {concept: (concept,) for concept in (*_SHOWN, "name")}
_CHANGES = (*["nothing"] * 8, *["job"] * 3, *["email"] * 3, *["mobile"] * 2, *["address"] * 2, "last")
_SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvwz" for vowel in "aeiou"]

Texts = dict[str, str]  # what a record shows, by concept


class Contact(NamedTuple):
    """A record of a CRM."""

    person: str  # whose it is
    records: int  # how many the person has
    texts: Texts


class Market(World):
    """A company and the people around it, in a world in which no two companies have one domain and no two people one address by chance."""

    def __init__(self, number: int, country: Country, rng: random.Random):
        super().__init__(number, country, rng)
        self.addresses: set[str] = set()

    def email(self, person: dict) -> str:
        """Return a new address, with a number where a colleague has the plain one."""
        user, _, domain = super().email(person).partition("@")
        found = next(name for mark in itertools.count(1) if (name := f"{user}{mark if mark > 1 else ''}@{domain}") not in self.addresses)
        self.addresses.add(found)
        return found

    def people(self) -> Iterator[Entity]:
        """Yield the people of a company and of its neighbourhood."""
        rng = self.rng
        self.known["company"] = [self.company()]
        for _ in range(rng.randint(20, 60) if rng.random() < 0.01 else 1 + int(rng.expovariate(0.3))):
            person = self.person(**self.name())
            private = "company" not in person.values
            if private and rng.random() < 0.4:
                person.values["phone"] = self.country.phone("fixed")
            yield person
            for _ in range(rng.randint(1, 2) if private and rng.random() < 0.25 else 0):
                yield self._relative(person)
            if rng.random() < 0.004:  # a namesake in the house
                shared = HOME if private else (*EMPLOYER, "role")
                yield self.person(**person.take("first", "last", *shared))

    def _relative(self, person: Entity) -> Entity:
        """Return somebody of a private person's household; some share a mobile, those without an employer the telephone."""
        relative = self.relative(person, first=self.name()["first"])
        while relative.values["first"] == person.values["first"]:
            relative.values["first"] = self.name()["first"]
        shared = [*["phone"] * ("company" not in relative.values), *["mobile"] * (self.rng.random() < 0.08)]
        relative.values |= person.take(*shared)
        return relative

    def name(self) -> dict[str, object]:
        """Return first and last name; a few are common, most are rare."""
        first, last = self.country.first, self.country.last
        return {"first": first[int(len(first) * self.rng.random() ** 2)], "last": last[int(len(last) * self.rng.random() ** 2)]}

    def _domain(self, brand: tuple[str, str], trade: str) -> str:
        number, mark = self.country.brands, ""
        while number or not mark:
            number, place = divmod(number, len(_SYLLABLES))
            mark += _SYLLABLES[place]
        return f"{super()._domain(brand, trade).split('.')[0]}{mark}.{self.country.top_level_domain}"


def contacts(rows: int, seed: int, crm: dict, rng: random.Random) -> Iterator[Contact]:
    """Yield `rows` records of a CRM (an entry of `TABLES["crms"]`), those of a person one after the other."""
    known = countries(seed, LOCALES)
    weights = [country.weight for country in known]
    weights[sorted(LOCALES).index(crm["home"])] = sum(weights)
    mean = sum(size * weight for size, weight in zip(_SIZES, _WEIGHTS, strict=True)) / sum(_WEIGHTS)
    often = _IN_GROUPS / (mean * (1 - _IN_GROUPS) + _IN_GROUPS)  # share of the people
    left = rows
    for number in itertools.count():
        market = Market(number, rng.choices(known, weights)[0], rng)
        for person in market.people():
            size = min(rng.choices(_SIZES, _WEIGHTS)[0] if rng.random() < often else 1, left)
            for texts in _records(person, size, market, crm):
                yield Contact(person.id, size, texts)
            left -= size
            if not left:
                return


def _records(person: Entity, size: int, market: Market, crm: dict) -> list[Texts]:
    """Return the records of a person. Most of them show one thing that stays, or nobody could know that they are one person."""
    rng, unique = market.rng, "unique_email" in crm
    latin = market.country.latin or rng.random() < 0.5
    lasting = "mobile" if unique or rng.random() < 0.5 else "email"
    written, states, used = [], [person.values], set()
    for number in range(size):
        values = states[0] if number == 0 else rng.choice(states) | _changed(rng.choice(states), market)
        must = {lasting} if size > 1 and (number == 0 or rng.random() < 0.85) else set()
        values |= {concept: person.values[concept] for concept in must}
        states.append(values)
        if not unique and "domain" in values and rng.random() < 0.03:
            values = values | {"email": f"{rng.choice(('info', 'office', 'sales'))}@{values['domain']}"}
        texts = _record(values, must, latin != (rng.random() < 0.05), market, crm)
        if unique and texts.get("email", "") in used:
            texts["email"] = rng.choice(("", "", mistakes.typo(texts["email"], rng), market.email(values)))
        used |= {texts["email"]} if texts.get("email") else set()
        others = sorted({state["email"] for state in states} - used)
        if others and rng.random() < 0.1:
            texts["other_emails"] = rng.choice(others)
            used.add(texts["other_emails"])
        written.append(texts)
    return written


def _changed(values: dict, market: Market) -> dict[str, object]:
    """Return what has changed since a person's last record, most often nothing."""
    change = market.rng.choice(_CHANGES)
    if change == "job":
        return cases.new_job(values, market)
    if change == "email":
        at_work = values.get("domain") and values["email"].endswith(values["domain"])
        return {"email": market.email(values | {"domain": ""} if at_work else values)}
    if change == "mobile":
        return {"mobile": market.country.phone("mobile")}
    if change == "address":
        return market.country.address(market.rng)
    return market.name() | {"first": values["first"]} if change == "last" else {}


def _record(values: dict, must: set[str], latin: bool, market: Market, crm: dict) -> Texts:
    """Return one record as somebody typed it."""
    rng = market.rng
    habits = formats.Habits(rng, _SCHEMA, latin, plain=False)
    habits.full_name = rng.random() < 0.04
    shown = {concept for concept, share in _SHOWN.items() if rng.random() < share} | must
    texts = {concept: formats.text(concept, values[concept], habits) for concept in _SHOWN if concept in shown and concept in values}
    if "company" in texts and rng.random() < 0.25:
        texts["company"] = _without_legal_form(texts["company"], market.country)
    if "notes" in shown:
        texts["notes"] = notes.write("none", rng.randrange(100))
    mistakes.in_crm_record(texts, rng, False)
    filled = {concept for concept in ("email", "mobile", "phone", "company") if concept not in shown and rng.random() < 0.3}
    made = formats.record(texts, shown | filled, habits, is_person=True)
    if "name" in made:
        made[crm.get("mandatory", "first")] = made.pop("name")
    if "mandatory" in crm and not made.get(crm["mandatory"]):
        made[crm["mandatory"]] = rng.choice(TABLES["not_given"])
    if rng.random() < 0.05:
        made = {concept: text.lower() if concept in ("first", "last", "company", "city") else text for concept, text in made.items()}
    if "email" in made and "unique_email" not in crm and rng.random() < 0.04:
        made["email"] = rng.choice((made["email"].upper(), made["email"].title()))
    made["domain"] = values.get("domain", "")
    return made


def _without_legal_form(company: str, country: Country) -> str:
    for form in sorted({form for forms in country.legal_forms for form in forms}, key=len, reverse=True):
        if company.endswith(f" {form}"):
            return company.removesuffix(f" {form}")
    return company
