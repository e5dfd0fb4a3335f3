"""The parts of keys: what two records of one entity are likely to share, in plain letters and digits, whatever way it is written."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from crm_dedup_plugin.policy.fields import is_placeholder
from crm_dedup_plugin.policy.names import FREE_MAIL, STREET_WORDS, company_parts, fold, is_role_inbox, long_forms, person_words
from crm_dedup_plugin.policy.values import dates, digits, email_domain, host, street_words

Parts = dict[str, set[str]]  # the values of each part that a record has
PERSONAL = frozenset({"first", "last", "name", "email", "phone", "mobile", "birth", "tax", None})  # concepts that can tell who a person is
_WEAK_SOUNDS = re.compile(r"[aeiouywh]|(.)(?=\1)")
_PHONE, _LOCAL = 8, 6  # digits at the end of a number that tell it, with and without its area code
_MAILBOX, _TOKEN, _TOKENS = 5, 24, 60  # shortest mailbox; letters of a token; tokens of a record

Values = Iterable[tuple[str | None, str]]  # concept and value, one entry a value


def split(evidence: Mapping[str, str], columns: Mapping[str, tuple[str | None, str | None]]) -> Iterator[tuple[str | None, str]]:
    """Yield the concept and each value of a record's cells; `columns` has concept and separator of each column."""
    for name, cell in evidence.items():
        concept, separator = columns.get(name, (None, None))
        for value in cell.split(separator) if separator else (cell,):
            if not is_placeholder(value.strip(" []()<>")):
                yield concept, value


def tokens(values: Values) -> set[str]:
    """Return the words and numbers in the values of a record; a phone number and an e-mail address are one each."""
    found: set[str] = set()
    for concept, value in values:
        if len(found) >= _TOKENS:
            break
        if concept in ("phone", "mobile"):
            found.update(_phones(value))
        elif concept == "email" and "@" in value:
            found.update(fold(value.partition("@")[0]).split())
        elif concept not in ("country", "salutation", "role"):
            found.update(word[:_TOKEN] for word in fold(value).split() if len(word) > 1)
    return found


_IN_TEXT = {"email": re.compile(r"[^\s@:;,<>()]+@[^\s@:;,<>()]+\.[a-zA-Z]{2,}"), "phone": re.compile(r"\+?\d[\d ()/-]{6,}\d")}


def of(values: Values, kind: str) -> Parts:
    """Return the parts of the keys of a contact or an account."""
    by_concept: dict[str, list[str]] = {}
    for concept, value in values:
        if concept:
            by_concept.setdefault(concept, []).append(value)
        for inside, pattern in _IN_TEXT.items() if concept == "notes" else ():
            by_concept.setdefault(inside, []).extend(pattern.findall(value))
    found: Parts = {}
    for concept, values_of in by_concept.items():
        for part, make in _PLAIN.get(concept, ()):
            found.setdefault(part, set()).update(key for value in values_of for key in make(value))
    if kind == "contact":
        _add_name(found, by_concept)
    else:
        for name in by_concept.get("name", ()) if "company" not in by_concept else ():
            found |= {"company": _company(name), "start": _start(name), "acronym": _acronym(name)}
    return found


def _add_name(found: Parts, by_concept: dict[str, list[str]]) -> None:
    first, last = ([word for value in by_concept.get(concept, ()) for word in person_words(value)] for concept in ("first", "last"))
    if not first or not last:
        for name in by_concept.get("name", ())[:1]:
            before, comma, after = name.partition(",")
            words = person_words(f"{after} {before}" if comma else name)
            first, last = first or list(words[:-1]), last or list(words[-1:])
    if first and last:
        found["name"] = {" ".join(sorted({*first, *last}))}
    pairs = {(given, family) for given in first[:2] for family in last}
    family = "" if any(len(word) > 1 for word in first) else " ".join(last)
    shown = {pair for value in by_concept.get("email", ()) for pair in _names_in_address(value, family)}
    found["short"] = {f"{given[0]}|{_sound(family)}" for given, family in pairs | shown}
    pairs |= shown | {(family, given) for given, family in pairs}  # in the wrong fields
    found["person"] = {f"{form}|{_sound(family)}" for given, family in pairs for form in given_names(given) if len(given) > 1}
    found["first"] = {form for word in first[:2] for form in given_names(word)} | {*last}
    found["sound"] = {_sound(word) for word in (*last, *first)}
    for part in ("person", "short", "first", "sound"):
        found[part] = {value for value in found[part] if len(value) > 1}
        if not found[part]:
            del found[part]


@lru_cache(maxsize=10_000)
def _names_in_address(email: str, family: str) -> frozenset[tuple[str, str]]:
    """Return the pairs of given and family name that an e-mail address may show: ann.lee@, lee.ann@, alee@, and ann@ beside a `family`."""
    if is_role_inbox(email):
        return frozenset()
    words = re.findall(r"[a-z]+", fold(email.partition("@")[0].partition("+")[0]))
    if len(words) == 2:
        return frozenset({(words[0], words[1]), (words[1], words[0])})
    if len(words) != 1:
        return frozenset()
    word = words[0]
    return frozenset({(word, other) for other in family.split()} | ({(word[0], word[1:])} if len(word) >= _MAILBOX else set()))


@lru_cache(maxsize=100_000)
def given_names(word: str) -> tuple[str, ...]:
    """Return a given name and the names of which it is a short form."""
    return (word, *sorted(long_forms(word)))


@lru_cache(maxsize=200_000)
def _sound(word: str) -> str:
    """Return the first letter and the consonants of a name: Meyer and Maier are one."""
    sound = word[:1] + _WEAK_SOUNDS.sub("", word[1:])[:6]
    return sound if len(sound) > 1 else word


def _email(value: str) -> tuple[str, ...]:
    user, at, domain = re.sub(r"\s", "", value.casefold()).rpartition("@")
    return (f"{user.split('+')[0]}@{domain}",) if at and user and domain else ()


def _mailbox(value: str) -> tuple[str, ...]:
    user = fold(value.partition("@")[0].split("+")[0]).replace(" ", "") if "@" in value and not is_role_inbox(value) else ""
    return (user,) if len(user) >= _MAILBOX else ()


def _domain(value: str) -> tuple[str, ...]:
    domain = email_domain(value) if "@" in value else host(value)
    return (domain,) if "." in domain and domain.split(".")[0] not in FREE_MAIL else ()


@lru_cache(maxsize=10_000)
def _phones(value: str) -> tuple[str, ...]:
    """Return the end of a number, which is the same with the country's code, with a 0 in front, and with "(0)" between."""
    number = digits(value)
    return (number[-_PHONE:],) if len(number) >= _LOCAL and len(set(number)) > 1 else ()


def _halves(value: str) -> tuple[str, ...]:
    """Return both halves of the end of a number: one is right where a digit is wrong."""
    return tuple(half for number in _phones(value) for half in (f"{number[:4]}-", f"-{number[4:]}"))


def _code(value: str) -> tuple[str, ...]:
    code = fold(value).replace(" ", "")
    return (code,) if len(code) >= 3 else ()


def _tax(value: str) -> tuple[str, ...]:
    return tuple(re.sub(r"^[a-z]{2}(?=[a-z]?\d)", "", code) for code in _code(value))


def _birth(value: str) -> tuple[str, ...]:
    return tuple(f"{year:04d}{month:02d}{day:02d}" for year, month, day in dates(value))


def _year(value: str) -> tuple[str, ...]:
    return tuple({f"{year:04d}" for year, _, _ in dates(value)})


@lru_cache(maxsize=50_000)
def _company(value: str) -> frozenset[str]:
    words = company_parts(value)[0]
    return frozenset({"".join(sorted(words))} if words else ())


def _start(value: str) -> frozenset[str]:
    return frozenset(word[:6] for word in company_parts(value)[0][:1] if len(word) > 2)


def _acronym(value: str) -> frozenset[str]:
    words = company_parts(value)[0]
    return frozenset({"".join(word[0] for word in words)} if len(words) > 2 else {word for word in words[:1] if 3 <= len(word) <= 5})


def _city(value: str) -> tuple[str, ...]:
    return tuple(word for word in (fold(value).replace(" ", ""),) if word)


def _number(value: str) -> tuple[str, ...]:
    return tuple(re.findall(r"(?<![a-z\d])\d+", fold(value))[:2])


@lru_cache(maxsize=50_000)
def _street(value: str) -> tuple[str, ...]:
    named = [word for word in street_words(value) if not word[0].isdigit() and word not in _STREET_KINDS]
    return tuple(_sound(word) for word in sorted(named, key=lambda word: (-len(word), word))[:1])


_STREET_KINDS = frozenset(STREET_WORDS.values())
_PLAIN = {
    "email": (("email", _email), ("mailbox", _mailbox), ("domain", _domain)),
    "website": (("domain", _domain),),
    "phone": (("phone", _phones), ("half", _halves)),
    "mobile": (("phone", _phones), ("half", _halves)),
    "tax": (("tax", _tax),),
    "birth": (("birth", _birth), ("year", _year)),
    "company": (("company", _company), ("start", _start), ("acronym", _acronym)),
    "postcode": (("postcode", _code),),
    "city": (("city", _city),),
    "street": (("number", _number), ("street", _street)),
}  # fmt: skip
