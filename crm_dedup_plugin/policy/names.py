"""The words of names, and those that do not count or count as equal: titles, legal forms, short forms, role inboxes.

The lists are in the folder `vocabulary`; libraries add English nicknames and the legal forms of most countries.
"""

import re
from functools import cache, lru_cache

from anyascii import anyascii
from cleanco import termdata
from nicknames import NickNamer

from crm_dedup_plugin.policy.vocabulary import load

_LISTS = {str: [str]}  # the common form, then all forms
_DIMINUTIVES, _ENGLISH = load("nicknames", _LISTS), NickNamer()
_SCRIPTS = load("scripts", {str: [str]})  # the first and the last letter of each
TITLES = frozenset(load("titles", [str]))
ROLE_INBOXES = frozenset(load("role_inboxes", [str]))
FREE_MAIL = frozenset(load("free_mail", [str]))


def _common_forms(vocabulary: str) -> dict[str, str]:
    return {word: common for common, words in load(vocabulary, _LISTS).items() for word in words}


SUFFIXES = _common_forms("suffixes")
STREET_WORDS = _common_forms("street_words")
# Each way to write a legal form, without punctuation and spaces, and the common name of the form.
_TERMS = (term for terms in (*termdata.terms_by_country.values(), *termdata.terms_by_type.values()) for term in terms)
_KEYS = (re.sub(r"[^a-z0-9]", "", anyascii(term).casefold()) for term in _TERMS)
LEGAL_FORMS = {key: key for key in _KEYS if len(key) >= 2} | _common_forms("legal_forms")


@cache
def short_forms(name: str) -> frozenset[str]:
    """Return the short forms of a given name, in plain lower-case letters."""
    return frozenset(_ENGLISH.nicknames_of(name)) | frozenset(_DIMINUTIVES.get(name, ()))


@cache
def long_forms(name: str) -> frozenset[str]:
    """Return the given names of which this is a short form, in plain lower-case letters."""
    return frozenset(_ENGLISH.canonicals_of(name)) | frozenset(long for long, forms in _DIMINUTIVES.items() if name in forms)


@lru_cache(maxsize=200_000)
def fold(text: str) -> str:
    """Return the words of a value in plain lower-case Latin letters and digits."""
    plain = text if text.isascii() else anyascii(text)
    return " ".join(re.findall(r"[a-z0-9]+", plain.replace("'", "").replace("’", "").casefold()))


def person_words(name: str) -> tuple[str, ...]:
    """Return the words of a person's name without titles; all of them where there is nothing else (M., Don)."""
    words = tuple(fold(name).split())
    return tuple(word for word in words if word not in TITLES) or words


@lru_cache(maxsize=100_000)
def company_parts(name: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the words of a company's name without its legal form, and the forms found."""
    text = re.sub(r"(?<=\b\w)\.(?=\w\b)", "", name.replace("&", " and ")).replace(".", " ")
    words, forms = fold(text).split(), set()
    for size in (3, 2, 1):
        for at in range(len(words) - size, -1, -1):
            form = LEGAL_FORMS.get("".join(words[at : at + size]))
            if form and len(words) > size:
                forms.add(form)
                del words[at : at + size]
    return tuple(word for word in words if word not in ("and", "the", "co")) or tuple(words), frozenset(forms)


def is_role_inbox(email: str) -> bool:
    """Tell whether an address belongs to a desk, not to a person: info@, sales@."""
    return re.split(r"[@+.\d_-]", email.strip().casefold(), maxsplit=1)[0] in ROLE_INBOXES


def script(text: str) -> str:
    """Return "latin", or the script of the first other letter: "cyrillic", "greek", "arabic", "han" ..."""
    for letter in text:
        if letter > "\u024f" and letter.isalpha():
            return next((name for name, (first, last) in _SCRIPTS.items() if first <= letter <= last), "other")
    return "latin"
