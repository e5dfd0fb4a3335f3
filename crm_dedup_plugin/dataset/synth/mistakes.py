"""What goes wrong with a value: what clerks, scanners, imports and time do to it.

Each function takes a text and a random generator and returns the text with one kind of mistake, or as it was where the
mistake is not possible. `in_crm_record` and `in_list_record` make mistakes in whole records, given as texts by concept.
"""

import random
import re
from collections.abc import Callable

from crm_dedup_plugin.dataset import VOCABULARY
from crm_dedup_plugin.policy.names import short_forms
from crm_dedup_plugin.policy.values import fold
from crm_dedup_plugin.policy.vocabulary import load

Mistake = Callable[[str, random.Random], str]

_PAIRS = {name: [[str]] for name in ("misread", "diacritics", "transliterations", "abbreviations")}
_WORDS = load("mistakes", {**_PAIRS, "neighbours": {str: str}, "homoglyphs": {"latin": str, "cyrillic": str}}, VOCABULARY)
_HOMOGLYPHS = str.maketrans(_WORDS["homoglyphs"]["latin"], _WORDS["homoglyphs"]["cyrillic"])


def typo(text: str, rng: random.Random) -> str:
    """Drop, double or swap a letter, or replace it by a neighbour on the keyboard."""
    places = [at for at in range(1, len(text)) if text[at].isalpha()]
    if len(places) < 3:
        return text
    at = rng.choice(places[:-1])
    kind, letter = rng.randrange(4), text[at]
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + letter + text[at:]
    if kind == 2:
        return text[:at] + text[at + 1] + letter + text[at + 2 :]
    return text[:at] + rng.choice(_WORDS["neighbours"].get(letter.lower(), letter)) + text[at + 1 :]


def two_typos(text: str, rng: random.Random) -> str:
    """Make two typos."""
    return typo(typo(text, rng), rng)


def misread(text: str, rng: random.Random) -> str:
    """Misread one letter, as a scanner of business cards does."""
    return _spelled(text, [(old, new) for old, new in _WORDS["misread"] if old in text[1:]], rng)


def respelled(text: str, rng: random.Random) -> str:
    """Leave out the diacritics, or take another transliteration where there are none."""
    if text.isascii():
        return _spelled(text, [(old, new) for old, new in _WORDS["transliterations"] if old in text.lower()[1:]], rng)
    for old, new in _WORDS["diacritics"]:
        if old in text.lower():
            text = text.replace(old, new).replace(old.upper(), new.capitalize())
    return text


def _spelled(text: str, ways: list[tuple[str, str]], rng: random.Random) -> str:
    """Replace one group of letters behind the first letter in one of the possible ways."""
    if not ways:
        return text
    old, new = rng.choice(ways)
    return text[0] + text[1:].replace(old, new, 1)


def nickname(text: str, rng: random.Random) -> str:
    """Take a short form of a given name."""
    forms = sorted(short_forms(fold(text)))
    return rng.choice(forms).capitalize() if forms else text


def initial(text: str, rng: random.Random) -> str:
    """Take the first letter of a given name."""
    return f"{text[0]}." if text[0].isalpha() and text[0].isascii() else text


def truncated(text: str, rng: random.Random) -> str:
    """Cut a text off, as a narrow column does."""
    return text[: max(8, len(text) - rng.randint(2, 9))].rstrip() if len(text) > 12 else text


def abbreviated(text: str, rng: random.Random) -> str:
    """Abbreviate a usual word, or leave out the punctuation."""
    fitting = [(long, short) for long, short in _WORDS["abbreviations"] if long in text]
    return text.replace(*rng.choice(fitting)) if fitting else re.sub(r"[.,'’-]", "", text)


def word_lost(text: str, rng: random.Random) -> str:
    """Leave out a word, but never the first, and none of two."""
    found = text.split()
    if len(found) < 3:
        return text
    del found[rng.randrange(1, len(found))]
    return " ".join(found)


def first_word_last(text: str, rng: random.Random) -> str:
    """Move the first word to the end."""
    first, _, rest = text.partition(" ")
    return f"{rest} {first}".strip(" ,")


def wrong_digit(text: str, rng: random.Random) -> str:
    """Mistype one digit in the second half of a number."""
    places = [at for at in range(len(text) // 2, len(text)) if text[at].isdigit()]
    if not places:
        return text
    at = rng.choice(places)
    return text[:at] + str((int(text[at]) + rng.randint(1, 9)) % 10) + text[at + 1 :]


def wrong_date(text: str, rng: random.Random) -> str:
    """Exchange day and month, keep only the year, or take another year or day."""
    found = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", text)
    if not found:
        return wrong_digit(text, rng)
    year, month, day = found.groups()
    kind = rng.randrange(4)
    if kind == 0 and int(day) <= 12:
        return f"{year}-{day}-{month}"
    if kind == 1:
        return f"{year}-01-01"
    if kind == 2:
        return f"{int(year) + rng.choice((-10, -1, 1, 10))}-{month}-{day}"
    return f"{year}-{month}-{rng.randint(1, 28):02d}"


def unformatted_or_wrong(text: str, rng: random.Random) -> str:
    """Mistype a digit, or leave out blanks and hyphens."""
    return wrong_digit(text, rng) if rng.random() < 0.7 else re.sub(r"[ -]", "", text)


# -- mistakes that only `--unseen` pairs have ------------------------------------------------------------------------------


def garbled(text: str, rng: random.Random) -> str:
    """Read UTF-8 as Latin-1."""
    return text if text.isascii() else text.encode().decode("latin-1", "replace")


def homoglyphs(text: str, rng: random.Random) -> str:
    """Replace some Latin letters by Cyrillic ones that look the same."""
    at = rng.randrange(len(text)) if text else 0
    return text[:at] + text[at : at + 3].translate(_HOMOGLYPHS) + text[at + 3 :]


def odd_blank(text: str, rng: random.Random) -> str:
    """Insert an invisible or a second blank."""
    at = rng.randrange(1, len(text)) if len(text) > 2 else 0
    return text[:at] + rng.choice(("\u200b", "\u00a0", "\u00ad", " ")) + text[at:]


def vowels_lost(text: str, rng: random.Random) -> str:
    """Leave out the vowels after the first letter, as some old systems do."""
    return text[0] + "".join(letter for letter in text[1:] if letter.lower() not in "aeiou") if len(text) > 5 else text


# -- whole records -------------------------------------------------------------------------------------------------------

_NAME = (typo, typo, misread, respelled, respelled)
IN_CRM = {
    "first": (*_NAME, nickname, nickname, initial), "last": _NAME, "company": (typo, respelled, truncated), "street": (typo, respelled, truncated),
    "city": (typo, respelled), "email": (typo,), "mobile": (wrong_digit,), "phone": (wrong_digit,), "tax": (wrong_digit,),
    "postcode": (wrong_digit,), "website": (typo,), "role": (truncated,),
}  # fmt: skip
UNSEEN = (garbled, homoglyphs, odd_blank, vowels_lost)
_UNSEEN_CONCEPTS = ("first", "last", "company", "city", "street")
TEXTS = ("first", "last", "name", "company", "street", "place", "city", "line", "role", "trade")
IN_TEXT = (typo, typo, typo, misread, respelled, abbreviated, abbreviated, word_lost, first_word_last, two_typos)
IN_LIST = {concept: IN_TEXT for concept in TEXTS} | {
    "first": (typo, typo, nickname, nickname, initial, respelled),
    "birth": wrong_date, "postcode": unformatted_or_wrong, "phone": unformatted_or_wrong, "email": typo, "website": typo,
}  # fmt: skip
_RATES = (0.0, 0.15, 0.35, 0.6)  # share of the fields of a list with a mistake, by level


def in_crm_record(texts: dict[str, str], rng: random.Random, unseen: bool) -> None:
    """Make up to two mistakes in a record of a CRM, in place."""
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        concept = rng.choice(list(texts))
        possible = UNSEEN if unseen and concept in _UNSEEN_CONCEPTS else IN_CRM.get(concept)
        if possible:
            texts[concept] = rng.choice(possible)(texts[concept], rng)


def in_list_record(texts: dict[str, str], rng: random.Random, level: int) -> dict[str, str]:
    """Return a record of a list with many mistakes; `level` is 0 (hardly any) to 3 (most fields)."""
    made = {concept: _in_list_field(concept, text, rng) if rng.random() < _RATES[level] else text for concept, text in texts.items()}
    if level and {"first", "last"} <= made.keys() and rng.random() < 0.03 * level:
        made["first"], made["last"] = made["last"], made["first"]
    letters = rng.random()
    if letters < 0.12:
        return {concept: text.lower() for concept, text in made.items()}
    return {concept: text.upper() if concept in TEXTS else text for concept, text in made.items()} if letters < 0.2 else made


def _in_list_field(concept: str, text: str, rng: random.Random) -> str:
    possible = IN_LIST.get(concept)
    if possible is None:
        return text
    mistake = rng.choice(possible) if isinstance(possible, tuple) else possible
    return mistake(text, rng) or text
