"""Words in names that count as equal or do not count: short forms, titles, suffixes, street words, legal forms, role inboxes.

The lists are in the folder `vocabulary`; libraries add English nicknames and the legal forms of most countries.
"""

from __future__ import annotations

import re
from functools import cache

from anyascii import anyascii
from cleanco import termdata
from nicknames import NickNamer

from crm_dedup_plugin.policy.vocabulary import load

_LISTS = {str: [str]}  # the common form, then all forms
_DIMINUTIVES = load("nicknames", _LISTS)
TITLES = frozenset(load("titles", [str]))
ROLE_INBOXES = frozenset(load("role_inboxes", [str]))
FREE_MAIL = frozenset(load("free_mail", [str]))


def _common_forms(vocabulary: str) -> dict[str, str]:
    return {word: common for common, words in load(vocabulary, _LISTS).items() for word in words}


SUFFIXES = _common_forms("suffixes")
STREET_WORDS = _common_forms("street_words")


@cache
def short_forms(name: str) -> frozenset[str]:
    """Return the short forms of a given name, in plain lower-case letters."""
    return frozenset(_english().nicknames_of(name)) | frozenset(_DIMINUTIVES.get(name, ()))


@cache
def _english() -> NickNamer:
    return NickNamer()


def _legal_forms() -> dict[str, str]:
    """Return each way to write a legal form, without punctuation and spaces, and the common name of the form."""
    own = _common_forms("legal_forms")
    tables = (*termdata.terms_by_country.values(), *termdata.terms_by_type.values())
    keys = {re.sub(r"[^a-z0-9]", "", anyascii(term).casefold()) for terms in tables for term in terms}
    return {key: key for key in keys if len(key) >= 2} | own


LEGAL_FORMS = _legal_forms()
