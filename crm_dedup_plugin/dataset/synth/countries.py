"""What a country offers to the world: names, addresses, telephone and tax numbers, domains.

Names and places come from Faker, the forms of telephone numbers from phonenumbers. Full names, telephone numbers and tax
numbers are dealt out in turn, not drawn, so that no two people of the world share one by chance.
"""

import copy
import math
import random
import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache

import phonenumbers
from anyascii import anyascii
from faker import Faker
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from stdnum import luhn
from stdnum.iso7064 import mod_11_10

from crm_dedup_plugin.dataset import VOCABULARY
from crm_dedup_plugin.policy.values import script
from crm_dedup_plugin.policy.vocabulary import load

_LOCALE = dict.fromkeys(("region", "country", "language", "domain", "weight"), str)
_COUNTRIES = load("locales", {"train": {str: _LOCALE}, "unseen": {str: _LOCALE}}, VOCABULARY)
LOCALES, UNSEEN_LOCALES = list(_COUNTRIES["train"]), list(_COUNTRIES["unseen"])
_LISTS = {name: [str] for name in ("roles", "mail_providers", "brands", "invented_starts", "invented_ends")}
_BY_LANGUAGE = {"local_mail_providers": {str: [str]}, "trades": {str: [str]}, "legal_forms": {str: [[str]]}, "latin_legal_forms": {str: str}}
_WORDS = load("names", {**_LISTS, **_BY_LANGUAGE, "arabic_names": {"first": [[str]], "last": [[str]]}}, VOCABULARY)
ROLES, LATIN_LEGAL_FORMS = _WORDS["roles"], _WORDS["latin_legal_forms"]
_PLACES = 160  # cities and streets of a country
_POSTCODES = 400
_FAMILY = 8  # given names that one family may use
_FORMATS = (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164)

Name = tuple[str, str]  # in the native script, in Latin letters


class Country:
    """One locale of Faker; `seed` fixes everything that it offers."""

    def __init__(self, locale: str, seed: int):
        row = (_COUNTRIES["train"] | _COUNTRIES["unseen"])[locale]
        self.locale, self.weight = locale, int(row["weight"])
        self.name, self.region, self.language, self.top_level_domain = row["country"], row["region"], row["language"], row["domain"]
        self.trades, self.legal_forms = _WORDS["trades"][self.language], _WORDS["legal_forms"][self.language]
        self.mail_domains = _WORDS["mail_providers"] + 2 * _WORDS["local_mail_providers"].get(self.language, ())
        self.rng = random.Random(f"{seed} {locale}")
        self.families = self.taxes = self.brands = 0
        self.phones = 500_000 if locale in UNSEEN_LOCALES else 0  # some share a region with a locale of training
        faker = Faker(locale)
        faker.seed_instance(f"{seed} {locale}")
        self.first, self.last = (self._names(faker.provider("faker.providers.person"), part) for part in ("first", "last"))
        self.latin = script(self.last[0][0]) == "latin"
        self.step = _coprime(self.rng, len(self.last))
        self.tax_step = _coprime(self.rng, 10**8)
        listed = sorted(set(getattr(faker.provider("faker.providers.address"), "cities", ())))  # some providers keep a set
        self.cities = self.rng.sample(listed, min(len(listed), _PLACES)) if listed else _distinct(faker.city, _PLACES)
        self.streets = _distinct(getattr(faker, "street_name", faker.city), _PLACES)
        self.postcodes = _distinct(faker.postcode, _POSTCODES)

    def copy(self) -> "Country":
        """Return a country that offers the same as this one from now on, whatever is drawn from either."""
        twin = copy.copy(self)
        twin.rng = copy.copy(self.rng)
        return twin

    def part(self, places: float, names: float, rng: random.Random) -> "Country":
        """Return a country with these shares of the places and names of this one, as a town or a parish has them."""
        twin = self.copy()
        twin.cities, twin.postcodes = (_some(values, places, least, rng) for values, least in ((self.cities, 2), (self.postcodes, 4)))
        twin.streets = _some(self.streets, places, 20, rng)
        twin.first, twin.last = (_some(values, names, least, rng) for values, least in ((self.first, 60), (self.last, 80)))
        twin.step = _coprime(rng, len(twin.last))
        return twin

    def family(self) -> tuple[Name, list[Name]]:
        """Return a family name, and given names that no other family of that name has used."""
        number, self.families = self.families, self.families + 1
        block, place = divmod(number, len(self.last))
        start = (block * _FAMILY + place * 31) % len(self.first)
        given = [self.first[(start + offset) % len(self.first)] for offset in range(_FAMILY)]
        return self.last[place * self.step % len(self.last)], given

    def brand(self) -> Name:
        """Return the leading word of a company's name: a founder's name, a usual word or an invented one."""
        number, self.brands = self.brands, self.brands + 1
        if number % 3 == 0:
            return self.last[self.rng.randrange(len(self.last))]
        if number % 3 == 1:
            word = self.rng.choice(_WORDS["brands"])
        else:
            start, end = self.rng.choice(_WORDS["invented_starts"]), self.rng.choice(_WORDS["invented_ends"])
            word = start + self.rng.choice("aeiou") + end
        return word, word

    def phone(self, kind: str) -> tuple[tuple[str, ...], str]:
        """Return a number of `kind` "mobile" or "fixed": forms (national, international, E.164) and the digits to fill in."""
        templates = self._phone_templates[kind]
        number, self.phones = self.phones, self.phones + 1
        forms, tail = templates[number % len(templates)]
        return forms, f"{(number * 7919 + 104729) % 10**tail:0{tail}d}"

    def tax(self) -> str:
        """Return a tax number in the style of the country, with its check digit where that is one of the usual kinds."""
        number, self.taxes = self.taxes, self.taxes + 1
        body = f"{(number * self.tax_step + 13579246) % 10**8:08d}"
        if self.region in ("DE", "HR"):
            return f"{self.region}{body}{mod_11_10.calc_check_digit(body)}"
        if self.region in ("FR", "IT", "SE", "CA", "GR", "PT"):
            return f"{self.region}{body}{luhn.calc_check_digit(body)}"
        return {"US": f"{body[:2]}-{body[1:]}", "GB": f"GB{body}9"}.get(self.region, f"{self.region}{body}")

    def address(self, rng: random.Random) -> dict[str, str]:
        """Return street, city, postcode and country."""
        number, street = rng.randint(1, 240), rng.choice(self.streets)
        front = self.language in ("en", "fr") or self.region in ("KR", "TH")
        street = f"{number} {street}" if front else f"{street} {number}"
        return {"street": street, "city": rng.choice(self.cities), "postcode": rng.choice(self.postcodes), "country": self.name}

    @cached_property
    def _phone_templates(self) -> dict[str, list]:
        return {"mobile": self._templates(PhoneNumberType.MOBILE), "fixed": self._templates(PhoneNumberType.FIXED_LINE)}

    def _templates(self, kind: int) -> list[tuple[tuple[str, ...], int]]:
        """Return ways to write numbers of a kind with # for the last digits, and how many digits these are."""
        example = phonenumbers.example_number_for_type(self.region, kind) or phonenumbers.example_number(self.region)
        national = phonenumbers.national_significant_number(example)
        tail, found = min(6, len(national) - 2), {}
        for _ in range(60):
            digits = national[0] + "".join(str(self.rng.randint(0, 9)) for _ in national[1:-tail]) + national[-tail:]
            number = phonenumbers.parse(f"+{example.country_code}{digits}")
            if phonenumbers.number_type(number) not in (kind, PhoneNumberType.FIXED_LINE_OR_MOBILE):
                number, digits = example, national
            written = [phonenumbers.format_number(number, form) for form in _FORMATS]
            found[digits] = (tuple(re.sub(r"\d", "#", text[::-1], count=tail)[::-1] for text in written), tail)
        return list(found.values())

    def _names(self, provider: object, part: str) -> list[Name]:
        """Return the given ("first") or the family names ("last") of the country in random order."""
        if self.language == "ar":
            names = list(_WORDS["arabic_names"][part])
        elif pairs := getattr(provider, f"{part}_name_pairs", None):
            names = list(dict.fromkeys((native, latin) for native, _, latin in pairs))
        else:
            found = {name for key in ("names", "names_male", "names_female") for name in getattr(provider, f"{part}_{key}", ())}
            usable = (name for name in sorted(found) if len(name) >= 2 or script(name) == "han" or (part == "last" and name.isalpha()))
            named = [name for name in usable if not re.search(r"[.()/\d]", name)]
            names = [(name, name if script(name) == "latin" else anyascii(name).replace("'", "").capitalize()) for name in named]
        self.rng.shuffle(names)
        return names


def countries(seed: int, locales: Iterable[str]) -> list[Country]:
    """Return the countries of some locales, in alphabetical order of the locales, from which nothing has been drawn yet."""
    return [_untouched(locale, seed).copy() for locale in sorted(locales)]


@lru_cache(maxsize=128)
def _untouched(locale: str, seed: int) -> Country:
    """Return what `countries` copies: asking Faker for all of them takes a second."""
    return Country(locale, seed)


def _some(values: list, share: float, least: int, rng: random.Random) -> list:
    return rng.sample(values, min(len(values), max(least, int(len(values) * share))))


def _distinct(draw: Callable[[], object], count: int) -> list[str]:
    return list(dict.fromkeys(str(draw()).replace("\n", " ") for _ in range(2 * count)))[:count]


def _coprime(rng: random.Random, size: int) -> int:
    """Return a step that visits each of `size` places once before it returns to the first."""
    step = rng.randrange(1, size + 1)
    return step if math.gcd(step, size) == 1 else _coprime(rng, size)
