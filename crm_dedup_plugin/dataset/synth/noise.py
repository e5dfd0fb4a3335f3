"""How records come to differ: what clerks, scanners, imports and years do to a value. One function for one kind of damage."""

from __future__ import annotations

import random

from crm_dedup_plugin.policy.names import short_forms
from crm_dedup_plugin.policy.values import fold

_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n",
    "n": "bm", "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip
_SCANNED = (("rn", "m"), ("m", "rn"), ("l", "1"), ("O", "0"), ("cl", "d"), ("i", "l"), ("S", "5"), ("B", "8"), ("h", "b"), ("vv", "w"))
_DIACRITICS = (
    ("ä", "ae"),
    ("ö", "oe"),
    ("ü", "ue"),
    ("ß", "ss"),
    ("ø", "oe"),
    ("å", "aa"),
    ("é", "e"),
    ("è", "e"),
    ("á", "a"),
    ("í", "i"),
    ("ó", "o"),
)
_SPELLINGS = (("ks", "x"), ("shch", "sch"), ("ii", "y"), ("iy", "y"), ("kh", "h"), ("zh", "j"), ("yu", "iu"), ("ya", "ia"), ("oy", "ou"), ("ee", "i"),
              ("oo", "u"), ("ou", "u"), ("ck", "k"), ("ph", "f"), ("th", "t"), ("al-", "al "), ("al-", "al"), ("c", "k"), ("y", "i"))  # fmt: skip
_HOMOGLYPHS = str.maketrans("aeocpxiyABEKMHOPCTX", "аеосрхіуАВЕКМНОРСТХ")


def typo(text: str, rng: random.Random) -> str:
    """Return a word with one slip of the fingers: a letter dropped, doubled, swapped, or the key beside it."""
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
    return text[:at] + rng.choice(_NEIGHBOURS.get(letter.lower(), letter)) + text[at + 1 :]


def scanned(text: str, rng: random.Random) -> str:
    """Return a text with one letter misread, as from a scanned business card."""
    fitting = [(old, new) for old, new in _SCANNED if old in text[1:]]
    if not fitting:
        return text
    old, new = rng.choice(fitting)
    return text[0] + text[1:].replace(old, new, 1)


def spelled(text: str, rng: random.Random) -> str:
    """Return another spelling: without diacritics, or as another transliteration has it."""
    table = _DIACRITICS if not text.isascii() else _SPELLINGS
    fitting = [(old, new) for old, new in table if old in text.lower()[1:] or (old in text.lower() and not text.isascii())]
    if not fitting:
        return text
    if not text.isascii():
        for old, new in fitting:
            text = text.replace(old, new).replace(old.upper(), new.capitalize())
        return text
    old, new = rng.choice(fitting)
    return text[0] + text[1:].replace(old, new, 1)


def nickname(text: str, rng: random.Random) -> str:
    """Return a short form of a given name, or the name where there is none."""
    forms = sorted(short_forms(fold(text)))
    return rng.choice(forms).capitalize() if forms else text


def initial(text: str, rng: random.Random) -> str:
    """Return the first letter of a given name."""
    return f"{text[0]}." if text[0].isalpha() and text[0].isascii() else text


def truncated(text: str, rng: random.Random) -> str:
    """Return a text as cut off by a narrow column."""
    return text[: max(8, len(text) - rng.randint(2, 9))].rstrip() if len(text) > 12 else text


def wrong_digit(text: str, rng: random.Random) -> str:
    """Return a number with two neighbouring digits exchanged or one mistyped."""
    places = [at for at in range(len(text) // 2, len(text)) if text[at].isdigit()]
    if not places:
        return text
    at = rng.choice(places)
    return text[:at] + str((int(text[at]) + rng.randint(1, 9)) % 10) + text[at + 1 :]


def garbled(text: str, rng: random.Random) -> str:
    """Return UTF-8 read as Latin-1; an unseen kind of damage."""
    return text if text.isascii() else text.encode().decode("latin-1", "replace")


def homoglyphs(text: str, rng: random.Random) -> str:
    """Return some Latin letters replaced by Cyrillic ones that look the same; an unseen kind of damage."""
    at = rng.randrange(len(text)) if text else 0
    return text[:at] + text[at : at + 3].translate(_HOMOGLYPHS) + text[at + 3 :]


def spaced(text: str, rng: random.Random) -> str:
    """Return a text with invisible or doubled blanks; an unseen kind of damage."""
    at = rng.randrange(1, len(text)) if len(text) > 2 else 0
    return text[:at] + rng.choice(("\u200b", "\u00a0", "\u00ad", " ")) + text[at:]


def consonants(text: str, rng: random.Random) -> str:
    """Return a text without the vowels inside, as in old systems; an unseen kind of damage."""
    return text[0] + "".join(letter for letter in text[1:] if letter.lower() not in "aeiou") if len(text) > 5 else text


TEXT = (typo, typo, scanned, spelled, spelled)
UNSEEN = (garbled, homoglyphs, spaced, consonants)
BY_CONCEPT = {
    "first": (*TEXT, nickname, nickname, initial), "last": TEXT, "company": (typo, spelled, truncated), "street": (typo, spelled, truncated),
    "city": (typo, spelled), "email": (typo,), "mobile": (wrong_digit,), "phone": (wrong_digit,), "tax": (wrong_digit,),
    "postcode": (wrong_digit,), "website": (typo,), "role": (truncated,),
}  # fmt: skip
