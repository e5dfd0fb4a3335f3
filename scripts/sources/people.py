"""Readers of sources about people. A reader returns rows: an ``id``, its ``entity``, and fields named as in ``columns`` of sources.yml."""

import csv
import importlib
import random
import string
from pathlib import Path

import yaml
from rapidfuzz import fuzz, process

from crm_dedup_plugin.policy.values import fold

Files = dict[str, Path]

PEOPLE = 1500  # of each source that holds more
_ALIKE = 80.0  # names that are spelled this much alike may be one name
_GIVEN, _FAMILY = 150, 400  # names of which people are made, so that many share one
_LOCALES = ("en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "pl_PL", "cs_CZ", "ru_RU", "nl_NL", "sv_SE", "tr_TR")
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every value is text: postcodes keep their zeros


def people(named: list[tuple[tuple[str, ...], ...]], rng: random.Random) -> list[dict]:
    """Return two rows of each of several people, who are given as pairs of (given names, family names) in the same spelling."""
    rows = []
    for number, spellings in enumerate(named):
        chosen = rng.sample(spellings, 2)
        rows += [{"id": f"{number}-{side}", "entity": str(number), "first": first, "last": last} for side, (first, last) in enumerate(chosen)]
    return rows


def transliterations(files: Files, rng: random.Random) -> list[dict]:
    """Read names in Latin and in another script: of whole people, or of parts of names, of which people are made."""
    named = []
    for path in sorted(files):
        lines = [line.rstrip("\n").split("\t") for line in files[path].open(encoding="utf-8")]
        here = _composed(lines, rng) if len(lines[0]) == 3 else _whole(lines, rng)
        named += here[: PEOPLE // len(files)]
    return people(named, rng)


def _whole(lines: list[list[str]], rng: random.Random) -> list[tuple]:
    found = {}
    for latin, other in lines:
        left, right = latin.split(), other.split()
        # "Louis IX of France" is translated, not transliterated; so are names with a comma or with fewer words.
        if len(left) == len(right) == 2 and all(word.isalpha() and len(word) > 1 and word.istitle() for word in left) and "," not in other:
            found.setdefault(fold(latin), (tuple(left), tuple(right)))
    # People of one surname stand together, so that candidates share a name.
    by_last: dict[str, list] = {}
    for one in found.values():
        by_last.setdefault(one[0][1], []).append(one)
    shared = [group[:3] for group in by_last.values() if len(group) > 1]
    rng.shuffle(shared)
    return [one for group in shared for one in group]


def _composed(lines: list[list[str]], rng: random.Random) -> list[tuple]:
    often = [(latin, other.replace(" ", "")) for latin, other, count in lines if int(count) > 2 and latin.isalpha() and len(latin) > 3]
    parts = apart([(latin.title(), other) for latin, other in rng.sample(often, min(300, len(often)))], 120)
    half = len(parts) // 3
    return [tuple(zip(*pair, strict=True)) for pair in drawn(parts[:half], parts[half:], PEOPLE, rng)]


def apart(groups: list[tuple[str, ...]], wanted: int) -> list[tuple[str, ...]]:
    """Return the first groups of spellings that no other of them resembles, at most `wanted`: two people with these are two."""
    kept, spellings = [], []
    for group in groups:
        folded = [fold(spelling) for spelling in group]
        if not any(process.extractOne(one, spellings, scorer=fuzz.ratio, score_cutoff=_ALIKE) for one in folded):
            kept.append(group)
            spellings += folded
        if len(kept) == wanted:
            break
    return kept


def drawn(given: list, family: list, count: int, rng: random.Random) -> list[tuple]:
    """Return different pairs of a given and a family name, at most `count`."""
    pairs = [(one, other) for one in given for other in family]
    return rng.sample(pairs, min(count, len(pairs)))


def names(files: Files, rng: random.Random) -> list[dict]:
    """Read groups of spellings of one name, and make people of them: two rows with other spellings of both names."""
    usual = {fold(name) for locale in _LOCALES for name in importlib.import_module(f"faker.providers.person.{locale}").Provider.first_names}
    groups = []
    for line in next(iter(files.values())).open(encoding="utf-8"):
        spellings = tuple(spelling.strip() for spelling in line.rpartition("=>")[0].split(",") if spelling.strip())
        if len([one for one in spellings if _latin(one)]) > 1 and min(map(len, map(fold, spellings))) > 2:
            groups.append(spellings)
    rng.shuffle(groups)
    given = apart([group for group in groups if any(fold(one) in usual for one in group)], _GIVEN)
    others = [group for group in groups if not any(fold(one) in usual for one in group)]
    family = apart([*given, *others[: 4 * _FAMILY]], _GIVEN + _FAMILY)[len(given) :]
    named = []
    for first, last in drawn(given, family, PEOPLE, rng):
        both = [(one, other, _script(one)) for one in first for other in last if _script(one) == _script(other)]
        latin, other = ([tuple(map(string.capwords, names)) for *names, script in both if (script == 0) == wanted] for wanted in (True, False))
        spellings = rng.sample(latin, 2)
        named.append((spellings[0], rng.choice(other)) if other and rng.random() < 0.35 else tuple(spellings))
    return people(named, rng)


def _latin(text: str) -> bool:
    return _script(text) == 0


def _script(text: str) -> int:
    """Return a number for the script of a name: 0 for Latin."""
    return max(0, *(ord(letter) >> 8 for letter in text if letter.isalpha()), 0) if any(ord(letter) > 0x24F for letter in text) else 0


def febrl(files: Files, rng: random.Random) -> list[dict]:
    """Read the three sets of FEBRL; the social security number is left out, because it would decide alone."""
    fields = {"given_name": "first", "surname": "last", "street_number": "number", "address_1": "street", "address_2": "area", "suburb": "city"}
    fields |= {"postcode": "postcode", "state": "state", "date_of_birth": "birth"}
    rows = []
    for number, path in enumerate(sorted(files)):
        clusters: dict[str, list[dict]] = {}
        with files[path].open(encoding="utf-8", newline="") as file:
            for read in csv.DictReader(file, skipinitialspace=True):
                entity = f"{number}-{read['rec_id'].split('-')[1]}"
                row = {"id": f"{number}-{read['rec_id']}", "entity": entity}
                clusters.setdefault(entity, []).append(row | {name: read[column].strip() for column, name in fields.items()})
        kept = rng.sample(sorted(clusters), min(PEOPLE // len(files), len(clusters)))
        rows += [row for entity in kept for row in clusters[entity]]
    return rows


def congress(files: Files, rng: random.Random) -> list[dict]:
    """Read members of Congress: a row for a few of their terms and local offices, each with a form of the name and what was true then."""
    members, offices = (
        yaml.load(files[next(path for path in files if word in path)].read_text(encoding="utf-8"), Loader=_LOADER) for word in ("current", "offices")
    )
    local = {one["id"]["bioguide"]: one["offices"] for one in offices}
    rows = []
    for member in members:
        key = member["id"]["bioguide"]
        held = {(term.get("address"), term.get("phone")): term for term in member["terms"] if term.get("phone")}
        places = [_term(term) for term in held.values()] + [_office(office, member) for office in local.get(key, [])]
        for number, place in enumerate(rng.sample(places, min(4, len(places)))):
            bio = {"birth": member["bio"].get("birthday"), "gender": member["bio"].get("gender")}
            rows.append({"id": f"{key}-{number}", "entity": key, **_form(member["name"], rng), **{k: v for k, v in (bio | place).items() if v}})
    return rows


def _form(name: dict, rng: random.Random) -> dict:
    first = rng.choice([name["first"], name["first"], name.get("nickname") or name["first"]])
    middle = name.get("middle", "")
    if middle and first == name["first"] and rng.random() < 0.3:
        first += f" {middle}" if rng.random() < 0.5 else f" {middle[0]}."
    suffix = f" {name['suffix']}" if name.get("suffix") and rng.random() < 0.6 else ""
    return {"first": first, "last": name["last"] + suffix}


def _term(term: dict) -> dict:
    found = {"role": "Senator" if term["type"] == "sen" else "Representative", "party": term.get("party"), "state": term["state"]}
    return found | {"street": term.get("address"), "phone": term["phone"], "website": term.get("url")}


def _office(office: dict, member: dict) -> dict:
    last = member["terms"][-1]
    found = {"role": "Senator" if last["type"] == "sen" else "Representative", "party": last.get("party"), "state": office.get("state")}
    street = ", ".join(filter(None, (office.get("address"), office.get("suite"))))
    return found | {"street": street, "city": office.get("city"), "postcode": office.get("zip"), "phone": office.get("phone")}
