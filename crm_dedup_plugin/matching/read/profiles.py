"""What an export of one CRM means: YAML files in ``matching/profiles/`` that a user can copy and correct."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.policy.fields import CONCEPTS, words_of
from crm_dedup_plugin.policy.vocabulary import load

FOLDER = Path(__file__).parents[1] / "profiles"
GENERIC = "spreadsheet"  # what a file is read by that no other profile recognises
CONTACT, ACCOUNT = KINDS = ("contact", "account")
CRMS = ("hubspot", "salesforce", "dynamics", "pipedrive", "zoho", "none")
RULES = ("primary", "most_complete", "last_changed", "oldest", "longest", "most_frequent", "all")
ORDERS = ("day_first", "month_first")
DEFAULT = "default"  # the entry of `survivors` for all other columns
NOTHING: Mapping = MappingProxyType({})
COPY_OF = "profile-{}.yml"  # the profile that a file was read by, in the folder of the stage
_SHAPE = {
    "name": str,
    "crm": str,
    "kind?": str,
    **{"recognised_by?": [str], "needs?": str},
    **{"id?": [str], "created?": [str], "changed?": [str], "dates?": str},
    **{"never?": [str], "evidence?": [str], "concepts?": {str: str}, "several_values?": {str: str}},
    **{"null_words?": [str], "skip?": {str: [str]}, "survivors?": {str: str}},
    **{"encoding?": str, "delimiter?": str},
}


class Profile(NamedTuple):
    """What the columns of an export mean. Names of columns match whatever their case and punctuation; * stands for any text."""

    path: Path
    name: str
    crm: str  # "" where no CRM can merge
    kind: str | None  # "contact", "account"; None: found in the columns
    recognised_by: tuple[str, ...] = ()
    needs: int = 0  # how many of them a file must have
    id: tuple[str, ...] = ()  # the first that is there; so for created and changed
    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    dates: str | None = None  # "day_first", "month_first"; None: found in the values
    never: tuple[str, ...] = ()  # never evidence
    evidence: tuple[str, ...] = ()  # evidence although their names say otherwise
    concepts: Mapping[str, str] = NOTHING  # column: key of `policy.fields.CONCEPTS`
    several_values: Mapping[str, str] = NOTHING  # column: separator
    null_words: tuple[str, ...] = ()  # what stands for nothing, in lower case
    skip: Mapping[str, tuple[str, ...]] = NOTHING  # column: values of rows that are no records any more
    survivors: Mapping[str, str] = NOTHING  # concept, column or "default": one of `RULES`
    encoding: str | None = None
    delimiter: str | None = None


def shipped() -> list[Profile]:
    """Return the profiles of the package, by file name."""
    return [read_profile(path) for path in sorted(FOLDER.glob("*.yml"))]


def find(profile: Path) -> Profile:
    """Return the profile in a file, or the one of the package with this name ("hubspot_contact"); raises UserError."""
    if profile.is_file():
        return read_profile(profile)
    known = [path.stem for path in sorted(FOLDER.glob("*.yml"))]
    if str(profile) not in known:
        raise UserError(f"the profile {str(profile)!r} does not exist: name a YAML file, or one of {', '.join(known)}")
    return read_profile(FOLDER / f"{profile}.yml")


def used(run: Path, source: int) -> Profile:
    """Return the profile that a file of a run was read by; `source` is its number, from 0."""
    return read_profile(run_folder.folder(run, "read") / COPY_OF.format(source))


@cache
def read_profile(path: Path) -> Profile:
    """Return the profile in a file; raises UserError, which names the file, the key and the cure."""
    if path.suffix != ".yml":
        raise UserError(f"{path}: the name of a profile ends with .yml: rename it")
    found = load(path.stem, _SHAPE, path.parent)

    def among(key: str, value: str, choices: Sequence[str]) -> None:
        if value not in choices:
            raise UserError(f"{path}, {key}: {value!r} is unknown: use one of {', '.join(choices)}")

    among("crm", found["crm"], CRMS)
    for key, choices in (("kind", KINDS), ("dates", ORDERS)):
        if key in found:
            among(key, found[key], choices)
    for column, concept in found.get("concepts", {}).items():
        among(f"concepts, {column}", concept, tuple(CONCEPTS))
    for column, rule in found.get("survivors", {}).items():
        among(f"survivors, {column}", rule, RULES)
    if not found.get("needs", "0").isdecimal():
        raise UserError(f"{path}, needs: {found['needs']!r} is no number: write how many headers a file must have, such as 3")
    needs, headers = int(found.get("needs", "0")), found.get("recognised_by", ())
    if headers and not 2 <= needs <= len(headers):
        raise UserError(f"{path}, needs: {needs} headers of {len(headers)}: one header proves nothing, write a number from 2 to {len(headers)}")
    separators = {column: "\n" if text == "newline" else text for column, text in found.get("several_values", {}).items()}
    words = tuple(word.casefold() for word in found.get("null_words", ()))
    crm = "" if found["crm"] == "none" else found["crm"]
    return Profile(path, **{"kind": None, **found, "crm": crm, "needs": needs, "several_values": separators, "null_words": words})


def recognise(names: Sequence[str]) -> Profile:
    """Return the profile that knows most of these columns, if it knows enough of them and has its id, else the generic one."""
    known = [one for one in shipped() if one.recognised_by and (not one.id or column(names, one.id))]
    counted = [(sum(1 for header in one.recognised_by if column(names, (header,))), one) for one in known]
    enough = [(count, -len(one.recognised_by), one.name, one) for count, one in counted if count >= one.needs]
    return max(enough)[-1] if enough else read_profile(FOLDER / f"{GENERIC}.yml")


def column(names: Sequence[str], patterns: Sequence[str]) -> str | None:
    """Return the first column that one of the patterns names; earlier patterns are looked for first."""
    return next((name for pattern in patterns for name in names if matches(name, pattern)), None)


def matches(name: str, pattern: str) -> bool:
    """Tell whether a pattern of a profile names a column.

    >>> matches("(Do Not Modify) Row Checksum", "(Do Not Modify) *"), matches("OwnerId", "owner id"), matches("Phone", "Phone 2")
    (True, True, False)
    """
    return bool(_pattern(pattern).fullmatch(_spaced(name)))


@cache
def _spaced(name: str) -> str:
    return words_of(name) or name.casefold()


@cache
def _pattern(text: str) -> re.Pattern:
    parts = [re.escape(words_of(part) or part.strip().casefold()) for part in text.split("*")]
    return re.compile(".*".join(parts))
