"""How two values of one concept compare: the same, close, different, or unclear because the scripts differ.

>>> relation("phone", "+44 20 7946 0958", "(020) 7946-0958"), relation("first", "Peggy", "Margaret")
('same', 'close')
"""

import re
from functools import lru_cache
from itertools import product

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from crm_dedup_plugin.policy.names import STREET_WORDS, company_parts, fold, person_words, script, short_forms

SAME, CLOSE, DIFFERS, UNCLEAR = "same", "close", "differs", "unclear"

_EXTENSION = re.compile(r"(?:ext|durchwahl|dw|x)\.?\s*\d{1,5}$", re.IGNORECASE)
_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}
_VOWELS = re.compile(r"[aeiouyw]|(.)(?=\1)")


def digits(number: str) -> str:
    """Return the digits of a phone number without extension and leading zeros."""
    return "".join(str(int(sign)) for sign in _EXTENSION.sub("", number) if sign.isdecimal()).lstrip("0")


@lru_cache(maxsize=200_000)
def relation(concept: str, a: str, b: str) -> str:
    """Return how two values of one concept compare: `SAME`, `CLOSE`, `DIFFERS` or `UNCLEAR`, whatever the order of `a` and `b`."""
    return SAME if a == b else _RELATIONS.get(concept, _text)(*sorted((a, b)))


def plain(value: str) -> str:
    """Return a value without what never makes another one of it: case, and the amount of white space."""
    return " ".join(value.casefold().split())


def email_domain(email: str) -> str:
    """Return the part after the @ in lower case, or ""."""
    return email.rpartition("@")[2].strip().casefold() if "@" in email else ""


def host(website: str) -> str:
    """Return the host of a web address, without www."""
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", website.strip().casefold()).split("/")[0].split("?")[0]


def _name(a: str, b: str) -> str:
    """Compare given names or family names: word by word, in any order."""
    left, right = person_words(a), person_words(b)
    if left == right:
        return SAME
    if not left or not right:
        return DIFFERS
    if "".join(left) == "".join(right) or sorted(left) == sorted(right):
        return CLOSE
    if script(a) != script(b):
        return _across_scripts("".join(left), "".join(right), script(a), script(b))
    few, many = sorted((left, right), key=len)
    return CLOSE if all(any(_word_close(word, other) for other in many) for word in few) else DIFFERS


def _full_name(a: str, b: str) -> str:
    """Compare full names: each word of the shorter one needs its own counterpart; "Lee, Ann" is "Ann Lee"."""
    left, right = person_words(a), person_words(b)
    if sorted(left) == sorted(right) and left:
        return SAME
    if script(a) != script(b):
        return _across_scripts("".join(sorted(left)), "".join(sorted(right)), script(a), script(b))
    few, many = sorted((left, right), key=len)
    rest = list(many)
    for word in few:
        match = next((other for other in rest if word == other), None) or next((other for other in rest if _word_close(word, other)), None)
        if match is None:
            return DIFFERS
        rest.remove(match)
    return CLOSE if len(few) >= 2 or len(many) == len(few) == 1 else UNCLEAR


def _word_close(a: str, b: str) -> bool:
    if a == b or ((len(a) == 1 or len(b) == 1) and a[0] == b[0]):
        return True
    if b in short_forms(a) or a in short_forms(b):
        return True
    longest = max(len(a), len(b))
    return longest >= 3 and OSA.distance(a, b) <= (1 if longest < 6 else 2) and not _gendered(a, b)


def _gendered(a: str, b: str) -> bool:
    """Tell whether two given names differ only in a feminine ending: Daniel and Daniela are two people."""
    short, long = sorted((a, b), key=len)
    if long in (short + "a", short + "e", short + "ne"):
        return True
    masculine, feminine = sorted((a, b), key=lambda name: name[-1] == "a")
    return feminine[-1] == "a" and masculine.endswith(("o", "os")) and masculine.rstrip("s")[:-1] == feminine[:-1]


def _across_scripts(a: str, b: str, script_a: str, script_b: str) -> str:
    bones = (_VOWELS.sub("", a), _VOWELS.sub("", b))
    if fuzz.ratio(a, b) >= 75 or (min(map(len, bones)) >= 2 and fuzz.ratio(*bones) >= 80):
        return CLOSE
    return UNCLEAR if {"han", "kana", "hangul"} & {script_a, script_b} else DIFFERS


def _company(a: str, b: str) -> str:
    (left, forms_a), (right, forms_b) = company_parts(a), company_parts(b)
    if left == right:
        return CLOSE if forms_a and forms_b and forms_a != forms_b else SAME
    if script(a) != script(b):
        return _across_scripts("".join(left), "".join(right), script(a), script(b))
    if "".join(left) == "".join(right) or sorted(left) == sorted(right):
        return SAME
    return CLOSE if _words_fit(left, right) or is_acronym(left, right) else DIFFERS


def _words_fit(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Tell whether every word of the shorter name is in the longer one, at most misspelt or shortened."""
    few, many = sorted((left, right), key=len)
    return bool(few) and all(any(_word_fits(word, other) for other in many) for word in few)


def _word_fits(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    shortened = len(short) >= 3 and (long.startswith(short) or (short[0] == long[0] and short == _VOWELS.sub("", long)))
    return a == b or shortened or (len(short) >= 4 and OSA.distance(a, b) <= (1 if len(long) < 7 else 2))


def is_acronym(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Tell whether one name is a single word of the initials of the other: ibm, International Business Machines."""
    few, many = sorted((left, right), key=len)
    return len(few) == 1 < len(many) and few[0] == "".join(word[0] for word in many)


def _phone(a: str, b: str) -> str:
    left, right = digits(a), digits(b)
    size = min(len(left), len(right), 10)
    if size < 6:
        return SAME if left == right and left else DIFFERS
    if left[-size:] == right[-size:]:
        return SAME
    return CLOSE if OSA.distance(left[-size:], right[-size:]) <= 1 else DIFFERS


def _email(a: str, b: str) -> str:
    (user_a, _, domain_a), (user_b, _, domain_b) = (re.sub(r"\s", "", text.casefold()).rpartition("@") for text in (a, b))
    user_a, user_b = user_a.split("+")[0], user_b.split("+")[0]
    if (user_a, domain_a) == (user_b, domain_b):
        return SAME
    if user_a == user_b and OSA.distance(domain_a, domain_b) <= 2:
        return CLOSE
    near = domain_a == domain_b and min(len(user_a), len(user_b)) >= 5 and OSA.distance(user_a, user_b) <= (1 if len(user_a) < 12 else 2)
    return CLOSE if near and re.sub(r"\D", "", user_a) == re.sub(r"\D", "", user_b) else DIFFERS


def _website(a: str, b: str) -> str:
    left, right = host(a), host(b)
    if left == right:
        return SAME
    return CLOSE if left.split(".")[0] == right.split(".")[0] or OSA.distance(left, right) <= 1 else DIFFERS


def _tax(a: str, b: str) -> str:
    """Compare tax numbers, with or without the letters of the country in front."""
    short, long = sorted((_code(a), _code(b)), key=len)
    country = long[: -len(short)] if len(short) >= 6 and long.endswith(short) else ""
    return SAME if country.isalpha() else _postcode(a, b)


def _postcode(a: str, b: str) -> str:
    left, right = _code(a), _code(b)
    if left == right:
        return SAME
    return CLOSE if OSA.distance(left, right) <= 1 else DIFFERS


def _code(text: str) -> str:
    return fold(text).replace(" ", "")


@lru_cache(maxsize=100_000)
def dates(text: str) -> frozenset[tuple[int, int, int]]:
    """Return every (year, month, day) that a written date can mean."""
    named = re.sub(r"[A-Za-z]{3,}", lambda word: str(_MONTHS.get(word[0][:3].lower(), "")), text)
    parts = [int(part) for part in re.findall(r"\d+", named)]
    if len(parts) == 1 and len(re.sub(r"\D", "", text)) == 8:
        whole = re.sub(r"\D", "", text)
        parts = [int(whole[:4]), int(whole[4:6]), int(whole[6:])]
    if len(parts) != 3:
        return frozenset()
    if parts[0] > 31:
        orders = [(parts[0], parts[1], parts[2])]
    else:
        year = parts[2] if parts[2] > 99 else 1900 + parts[2] if parts[2] > 26 else 2000 + parts[2]
        orders = [(year, parts[1], parts[0]), (year, parts[0], parts[1])]
    return frozenset((y, m, d) for y, m, d in orders if 1 <= m <= 12 and 1 <= d <= 31)


def _birth(a: str, b: str) -> str:
    left, right = dates(a), dates(b)
    if not left or not right:
        return CLOSE if re.findall(r"\d{4}", a) == re.findall(r"\d{4}", b) != [] else DIFFERS
    if left & right:
        return SAME
    swapped = any((y, d, m) in right for y, m, d in left)
    written = ([f"{y:04d}{m:02d}{d:02d}" for y, m, d in days] for days in (left, right))
    near = min(OSA.distance(x, y) for x, y in product(*written)) <= 1
    return CLOSE if swapped or near else DIFFERS


def _street(a: str, b: str) -> str:
    left, right = (street_words(text) for text in (a, b))
    if left == right or sorted(left) == sorted(right):
        return SAME
    numbers = [{word for word in words if word[0].isdigit()} for words in (left, right)]
    if numbers[0] and numbers[1] and not numbers[0] & numbers[1]:
        return DIFFERS
    if script(a) != script(b) and numbers[0] == numbers[1] and numbers[0]:
        return _across_scripts("".join(left), "".join(right), script(a), script(b))
    words = [" ".join(word for word in side if not word[0].isdigit()) for side in (left, right)]
    return CLOSE if fuzz.token_set_ratio(*words) >= 80 else DIFFERS


def street_words(text: str) -> list[str]:
    """Return the words of a street in their common forms, the kind of street by itself."""
    spaced = re.sub(r"(?<=[a-z])(str|strasse|straat|weg|gasse|gatan|vej|gade)\b", r" \1", fold(text))
    return [STREET_WORDS.get(word, word) for word in spaced.split()]


def _text(a: str, b: str) -> str:
    left, right = fold(a), fold(b)
    if left == right:
        return SAME
    if script(a) != script(b):
        return _across_scripts(left, right, script(a), script(b))
    return CLOSE if fuzz.token_sort_ratio(left, right) >= 84 else DIFFERS


_RELATIONS = {
    "first": _name, "last": _name, "name": _full_name, "company": _company, "phone": _phone, "mobile": _phone, "email": _email,
    "website": _website, "tax": _tax, "birth": _birth, "street": _street, "postcode": _postcode,
}  # fmt: skip
