"""Readers of sources about companies and other bodies, and of lists with people among them; rows as in people.py."""

import csv
import itertools
import json
import random
import re
import string

from crm_dedup_plugin.policy.values import fold
from sources.people import PEOPLE, Files, apart, drawn

_ENTITIES = 1800
_BLANK = "-0-"
_NUMBERS = ("Passport", "National ID No.", "Tax ID No.", "Cedula No.", "NIT #", "RFC", "RUC #", "C.U.R.P.", "Vessel Registration Identification")
_NOTED = {  # what the remarks of a sanctioned entity hold
    "birth": re.compile(r"^DOB (?:circa )?(.+)"),
    "birth_place": re.compile(r"^POB (.+)"),
    "nationality": re.compile(r"^nationality (.+)"),
    "gender": re.compile(r"^Gender (.+)"),
    "identifier": re.compile(rf"^(?:{'|'.join(map(re.escape, _NUMBERS))}) ([^(]+)"),
    "website": re.compile(r"^Website (\S+)"),
}
_LOCAL = re.compile(r"(?:brand|operator|name):[a-z]{2,3}")


def ofac(files: Files, rng: random.Random) -> list[dict]:
    """Read sanctioned people, companies and ships: a row for the primary name and a few aliases, each with some of what is known."""
    tables = {path.rpartition("/")[2][:3]: _table(files[path]) for path in files}
    places, aliases = _by_entity(tables["add"]), _by_entity(tables["alt"])
    chosen = sorted(rng.sample(tables["sdn"], min(2 * _ENTITIES, len(tables["sdn"]))))
    chosen = sorted(chosen, key=lambda row: row[0] not in aliases)[:_ENTITIES]  # most of them with an alias
    rows = []
    for entity, name, kind, *rest in chosen:
        remarks = [one.strip(" .") for one in rest[-1].split(";")]
        known = {field: found for field, pattern in _NOTED.items() if (found := _first(pattern, remarks))}
        other = [alias[3] for alias in aliases.get(entity, [])]
        for number, shown in enumerate([name, *rng.sample(other, min(2, len(other)))]):
            row = {"id": f"{entity}-{number}", "entity": entity, "kind": kind or "entity", **_named(shown, kind), **known}
            if entity in places:
                place = rng.choice(places[entity])
                row |= {field: text for field, text in zip(("street", "city", "country"), place[2:5], strict=True) if text}
            rows.append(row)
    return rows


def _table(path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [["" if cell.strip() == _BLANK else cell.strip() for cell in row] for row in csv.reader(file) if len(row) > 4]


def _by_entity(rows: list[list[str]]) -> dict[str, list[list[str]]]:
    found: dict[str, list] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def _first(pattern: re.Pattern, remarks: list[str]) -> str:
    return next((found[1].strip() for remark in remarks if (found := pattern.match(remark))), "")


def _named(name: str, kind: str) -> dict:
    if kind != "individual":
        return {"company": name}
    last, _, first = name.partition(", ")
    return {"first": first, "last": last} if first else {"last": last}


def brands(files: Files, rng: random.Random) -> list[dict]:
    """Read brands and operators: a row for each of a few of their names, with what they do and where."""
    found: dict[str, list[dict]] = {}
    for path in sorted(files):
        for item in json.loads(files[path].read_text(encoding="utf-8"))["items"]:
            tags = item["tags"]
            entity = tags.get("brand:wikidata") or tags.get("operator:wikidata") or fold(item["displayName"])
            rows = found.setdefault(entity, [])
            countries = [code for code in item["locationSet"]["include"] if isinstance(code, str) and code.isalpha()]
            place = {"country": countries[0].upper()} if len(countries) == 1 else {}
            rows += [{"company": name, "category": path.split("/")[-1].removesuffix(".json").replace("_", " "), **place} for name in _names(item)]
    several = sorted(entity for entity, rows in found.items() if len(rows) > 1)
    chosen = rng.sample(several, min(_ENTITIES, len(several)))
    return [
        {"id": f"{entity}-{number}", "entity": entity, **row}
        for entity in chosen
        for number, row in enumerate(rng.sample(found[entity], min(3, len(found[entity]))))
    ]


def _names(item: dict) -> list[str]:
    tags, names = item["tags"], [item["displayName"]]
    for key, value in tags.items():
        if key in ("name", "brand", "operator", "alt_name", "short_name", "official_name") or _LOCAL.fullmatch(key):
            names += value.split(";")
    names += [string.capwords(name) for name in item.get("matchNames", [])]
    return list({fold(name): name.strip() for name in reversed(names) if fold(name)}.values())


def refdata(files: Files, rng: random.Random) -> list[dict]:
    """Make Americans and their firms of surnames, nicknames, legal forms and words of addresses; and read the aliases of companies."""
    held = {path.rpartition("/")[2]: files[path].read_text(encoding="utf-8") for path in files}
    read = {name: json.loads(text) for name, text in held.items() if name.endswith(".json")}
    surnames = [row["name"].title() for row in csv.DictReader(next(text for name, text in held.items() if name.endswith(".csv")).splitlines())]
    streets = [(short, *longer) for short, longer in read["address_abbreviations.json"]["street_suffixes"].items()]
    groups = read["legal_forms.json"]["legal_forms"].values()
    forms = [pair for group in groups for pair in itertools.combinations(group, 2) if _one_form(*pair)]
    family = [name[0] for name in apart([(name,) for name in rng.sample(surnames, min(700, len(surnames)))], 250)]
    given = _separate([(name, *more) for name, more in read["given_name_aliases.json"]["aliases"].items()])
    rows = []
    for number, (first, last) in enumerate(drawn(given, family, PEOPLE // 2, rng)):
        home = _home(rng.choice(family), streets, rng)
        for side, shown in enumerate(rng.sample(first, 2)):
            rows.append(
                {"id": f"p{number}-{side}", "entity": f"p{number}", "first": string.capwords(shown), "last": last, "street": rng.choice(home)}
            )
    for number, (left, right) in enumerate(drawn(family, family, PEOPLE // 2, rng)):
        form, home = rng.choice(forms), _home(rng.choice(family), streets, rng)
        for side in range(2):
            rows.append({"id": f"c{number}-{side}", "entity": f"c{number}", "company": _firm(left, right, form, rng), "street": rng.choice(home)})
    for name, more in read["business_aliases.json"]["aliases"].items():
        rows += [{"id": f"{name}-{at}", "entity": f"a-{name}", "company": string.capwords(alias)} for at, alias in enumerate((name, *more))]
    return rows


def _separate(groups: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return groups that share no name: Al is both Alexander and Albert."""
    counts: dict[str, int] = {}
    for group in groups:
        for name in set(group):
            counts[name] = counts.get(name, 0) + 1
    return [kept for group in groups if len(kept := tuple(name for name in dict.fromkeys(group) if counts[name] == 1)) > 1]


def _one_form(one: str, other: str) -> bool:
    """Tell whether two spellings are of one legal form: Ltd. and Limited are, Ltd and PLC are not, although both are British."""
    short, long = sorted((re.sub(r"[^\w ]", "", spelling) for spelling in (one, other)), key=len)
    letters, words = short.replace(" ", "").lower(), long.split()
    initials = {"".join(word[0] for word in kept).lower() for kept in (words, [word for word in words if word[0].isupper()])}
    cut_short = len(words) == 1 and len(long) >= 2 * len(short) and long.lower().startswith(letters)
    return letters == long.replace(" ", "").lower() or letters in initials or cut_short or {short, long} == {"Ltd", "Limited"}


def _home(name: str, streets: list[tuple[str, ...]], rng: random.Random) -> list[str]:
    number = rng.randint(1, 2400)
    return [f"{number} {name} {word.title()}" for word in rng.choice(streets)]


def _firm(left: str, right: str, form: tuple[str, ...], rng: random.Random) -> str:
    return f"{left} {rng.choice(('&', 'and', '&'))} {right} {rng.choice(form)}"
