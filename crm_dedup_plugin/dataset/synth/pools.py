"""What one country offers: names, addresses, phone numbers and domains, drawn once from Faker and phonenumbers.

Full names, phone numbers and tax numbers are counted out, not drawn, so that no two people of the world share one by chance.
"""

from __future__ import annotations

import importlib
import math
import random
import re
from functools import cached_property

import phonenumbers
from anyascii import anyascii
from faker import Faker
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from stdnum import luhn
from stdnum.iso7064 import mod_11_10

from crm_dedup_plugin.dataset.synth import words
from crm_dedup_plugin.policy.values import script

_DRAWN = 160  # cities and streets of a country that are drawn from Faker
_FAMILY = 8  # given names that one family may use
_FORMATS = (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164)


class Pool:
    """One locale's share of the world; `seed` fixes all that is drawn."""

    def __init__(self, locale: str, seed: int):
        self.locale = locale
        self.region, self.country, self.language = {**words.LOCALES, **words.UNSEEN_LOCALES}[locale]
        self.rng = random.Random(f"{seed} {locale}")
        self.faker = Faker(locale)
        self.faker.seed_instance(f"{seed} {locale}")
        self.families = self.taxes = self.brands = 0
        self.phones = 500_000 if locale in words.UNSEEN_LOCALES else 0  # some share a country with a seen locale
        self.first, self.last = self._names()
        self.step = _coprime(self.rng, len(self.last))
        self.tax_step = _coprime(self.rng, 10**8)
        self.cities = self._cities()
        self.streets = self._distinct(getattr(self.faker, "street_name", self.faker.city))
        self.trades = words.TRADES[self.language].split("|")
        self.legal = words.LEGAL[self.language]
        self.latin = script(self.last[0][0]) == "latin"

    def family(self) -> tuple[tuple[str, str], list[tuple[str, str]]]:
        """Return a family name, and given names that no other family of that name has used; (native, Latin) each."""
        number, self.families = self.families, self.families + 1
        block, place = divmod(number, len(self.last))
        start = (block * _FAMILY + place * 31) % len(self.first)
        given = [self.first[(start + offset) % len(self.first)] for offset in range(_FAMILY)]
        return self.last[place * self.step % len(self.last)], given

    def brand(self) -> tuple[str, str]:
        """Return the leading word of a company's name as (native, Latin): a founder's name or an invented one."""
        number, self.brands = self.brands, self.brands + 1
        if number % 3 == 0:
            return self.last[self.rng.randrange(len(self.last))]
        word = self.rng.choice(words.BRANDS) if number % 3 == 1 else _invented(self.rng)
        return word, word

    def phone(self, kind: str) -> tuple[tuple[str, ...], str]:
        """Return a number of `kind` "mobile" or "fixed": forms (national, international, E.164) and the digits to fill in."""
        templates = self._phones[kind]
        number, self.phones = self.phones, self.phones + 1
        template, tail = templates[number % len(templates)]
        return template, f"{(number * 7919 + 104729) % 10**tail:0{tail}d}"

    def tax(self) -> str:
        """Return a tax number in the manner of the country, with its check digit where that is one of the usual kinds."""
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
        return {
            "street": f"{number} {street}" if front else f"{street} {number}",
            "city": rng.choice(self.cities), "postcode": rng.choice(self.postcodes), "country": self.country,
        }  # fmt: skip

    @cached_property
    def postcodes(self) -> list[str]:
        """Return many postcodes of the country."""
        return self._distinct(self.faker.postcode, 400)

    @cached_property
    def mail_domains(self) -> tuple[str, ...]:
        """Return domains of mail providers, by how common they are."""
        return words.WORLD_MAIL + 2 * words.FREE_MAIL.get(self.language, ())

    @cached_property
    def _phones(self) -> dict[str, list]:
        kinds = {"mobile": PhoneNumberType.MOBILE, "fixed": PhoneNumberType.FIXED_LINE}
        return {name: self._templates(kind) for name, kind in kinds.items()}

    def _templates(self, kind: int) -> list[tuple[tuple[str, ...], int]]:
        """Return ways to write numbers of a kind, with the last digits to be filled in, and how many these are."""
        example = phonenumbers.example_number_for_type(self.region, kind) or phonenumbers.example_number(self.region)
        national = phonenumbers.national_significant_number(example)
        tail, found = min(6, len(national) - 2), {}
        for _ in range(60):
            digits = national[0] + "".join(str(self.rng.randint(0, 9)) for _ in national[1:-tail]) + national[-tail:]
            number = phonenumbers.parse(f"+{example.country_code}{digits}")
            if phonenumbers.number_type(number) not in (kind, PhoneNumberType.FIXED_LINE_OR_MOBILE):
                number, digits = example, national
            found[digits] = (tuple(_cut(phonenumbers.format_number(number, form), tail) for form in _FORMATS), tail)
        return list(found.values())

    def _names(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        if self.language == "ar":
            pairs = [[(arabic, latin.split()[0]) for arabic, latin in table.items()] for table in (words.ARABIC_FIRST, words.ARABIC_LAST)]
        else:
            provider = importlib.import_module(f"faker.providers.person.{self.locale}").Provider
            pairs = [self._list(provider, "first"), self._list(provider, "last")]
        for side in pairs:
            self.rng.shuffle(side)
        return pairs[0], pairs[1]

    @staticmethod
    def _list(provider: type, part: str) -> list[tuple[str, str]]:
        """Return the names of a Faker provider, each with its Latin form."""
        if (both := getattr(provider, f"{part}_name_pairs", None)) is not None:
            return list(dict.fromkeys((native, latin) for native, _, latin in both))
        names = [name for key in (f"{part}_names", f"{part}_names_male", f"{part}_names_female") for name in getattr(provider, key, ())]
        plain = sorted({name for name in names if len(name) >= 2 or script(name) == "han" or (part == "last" and name.isalpha())})
        plain = [name for name in plain if not re.search(r"[.()/\d]", name)]
        return [(name, name if script(name) == "latin" else anyascii(name).replace("'", "").capitalize()) for name in plain]

    def _cities(self) -> list[str]:
        """Return cities: of the provider's list, sorted because some keep it as a set, or drawn from its patterns."""
        try:
            provider = importlib.import_module(f"faker.providers.address.{self.locale}").Provider
        except ImportError:
            provider = None
        listed = sorted(set(getattr(provider, "cities", ())))
        return self.rng.sample(listed, min(len(listed), _DRAWN)) if listed else self._distinct(self.faker.city)

    def _distinct(self, draw, count: int = _DRAWN) -> list[str]:
        drawn = dict.fromkeys(str(draw()).replace("\n", " ") for _ in range(2 * count))
        return list(drawn)[:count]


def _invented(rng: random.Random) -> str:
    start = rng.choice("Bel Cor Dar Fen Gal Hal Jor Kel Lin Mor Nor Pel Ros Sel Tor Val Wes Zor".split())
    end = rng.choice("dex lux mar nix tek ran vox don tis lia vera gon matic plan form core line wave stone".split())
    return start + rng.choice("aeiou") + end


def _coprime(rng: random.Random, size: int) -> int:
    """Return a step that visits each of `size` places once before it comes back."""
    return next(step for step in iter(lambda: rng.randrange(1, size + 1), None) if math.gcd(step, size) == 1)


def _cut(text: str, tail: int) -> str:
    """Replace the last `tail` digits of a written number by #."""
    out, left = [], tail
    for sign in reversed(text):
        out.append("#" if sign.isdigit() and left else sign)
        left -= sign.isdigit() and left > 0
    return "".join(reversed(out))
