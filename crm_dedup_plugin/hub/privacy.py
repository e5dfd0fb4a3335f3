"""What must not leave the machine: personal data, values of test records, local paths and secrets.

`check` names the place where it finds such a value, but never the value itself.
"""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.files import read_pairs
from crm_dedup_plugin.pair.prompt import RUBRIC
from crm_dedup_plugin.provenance import PACKAGES

_SOUGHT = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
PERSONAL, LOCAL = ({what: re.compile(pattern) for what, pattern in _SOUGHT[kind].items()} for kind in ("personal", "local"))
_SHORTEST, _SHORTEST_NUMBER = 5, 7  # characters: shorter values, such as "Lee" and "2019", are also ordinary words and numbers
_WORD = re.compile(r"\w+")
MAX_FINDINGS = 10


def check(texts: dict[str, str], settings: dict[str, str], test_split: Path | None, repo: str, public: str = "") -> None:
    """Raise UserError if `texts` (results and cards) or `settings` (of the model) hold anything that must not be published.

    `texts` are searched for the values of the records in `test_split` as well, except for the words in `public`.
    """
    texts = {name: text.replace(repo, "") for name, text in texts.items()}  # the name of the account is public anyway
    spoken = {name: "\n".join(_strings(json.loads(text))) if name.endswith(".json") else text for name, text in texts.items()}
    public = " ".join((public, RUBRIC, *PACKAGES))
    found = [
        *(find for name, text in texts.items() for find in _patterns(name, text, PERSONAL | LOCAL)),
        *(find for name, text in settings.items() for find in _patterns(name, text, LOCAL)),
        *_usernames(spoken, public),
        *(_records(spoken, test_split, public) if test_split and test_split.is_file() else ()),
    ]
    if found:
        listed = "\n".join(f"- {find}" for find in found[:MAX_FINDINGS])
        raise UserError(
            f"nothing was uploaded, because it would publish what is private:\n{listed}\ntake it out where it comes from, and run it again"
        )


def _patterns(name: str, text: str, patterns: dict[str, re.Pattern]) -> Iterable[str]:
    for number, line in enumerate(text.split("\n"), start=1):
        for what, pattern in patterns.items():
            if pattern.search(line):
                yield f"{name}, line {number}: {what}"


def _usernames(spoken: dict[str, str], public: str) -> Iterable[str]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        return
    word = re.compile(rf"\b{re.escape(user)}\b")
    if len(user) >= 4 and user not in _SOUGHT["common users"] and not word.search(public):
        yield from (f"{name}: your user name" for name, text in spoken.items() if word.search(text))


def _records(spoken: dict[str, str], test_split: Path, public: str) -> Iterable[str]:
    """Yield the places where a text holds a value of a test record as whole words, unless `public` holds it too."""
    public, spoken = public.casefold(), {name: text.casefold() for name, text in spoken.items()}
    known = set(_WORD.findall(" ".join(spoken.values())))  # most values need no search then
    seen = set()
    for field, value in (item for pair in read_pairs(test_split) for record in pair.records for item in record.items()):
        text = value.casefold()
        shortest = _SHORTEST_NUMBER if re.fullmatch(r"[\d.,-]+", text) else _SHORTEST
        if text not in seen and len(text) >= shortest and known.issuperset(_WORD.findall(text)) and text not in public:
            word = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
            found = (name for name, body in spoken.items() if text in body and word.search(body))
            yield from (f"{name}: a value of the field {field!r} of a test pair" for name in found)
        seen.add(text)


def _strings(value: object, key: str = "") -> Iterable[str]:
    """Yield the texts in a result and the names of slices and files; all other keys are the toolkit's own."""
    if isinstance(value, dict):
        for name, part in value.items():
            if key in ("slices", "files_sha256"):
                yield name
            yield from _strings(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key)
    elif isinstance(value, str):
        yield value
