"""Pairs from lists that are no CRM: ``crm-dedup synth --lists --n 80000 --out data/lists.jsonl``.

Registers of people, directories of sites, names alone, a company and its address in one line. They hold few fields, many
mistakes, and no identifier that stands by itself. So the label is the truth about the two entities, not what the policy
reads in the records, except where both hold nothing but one name in common: that is POSSIBLE.
"""

import random
from collections.abc import Iterator

from crm_dedup_plugin.dataset.synth import cases, list_records
from crm_dedup_plugin.dataset.synth.countries import LOCALES, countries
from crm_dedup_plugin.dataset.synth.generate import Dice, row, worlds
from crm_dedup_plugin.dataset.synth.list_records import Records
from crm_dedup_plugin.dataset.synth.world import Case, World
from crm_dedup_plugin.pair.record import normalise
from crm_dedup_plugin.policy import fields, reasoning, rules
from crm_dedup_plugin.policy.evidence import compare
from crm_dedup_plugin.policy.values import fold

ENGLISH = 0.5  # share of worlds in English, in which most such lists are
_UNSAID = {rules.DUPLICATE: "The entries agree.", rules.NO_MATCH: "The entries differ.", rules.POSSIBLE: "Too little can be compared."}


def generate(pairs: int, seed: int = 7) -> Iterator[dict]:
    """Yield `pairs` labelled rows with clusters and slices, as many of one entity as of two; equal arguments give equal rows."""
    rng = Dice(f"{seed} lists")
    known = countries(seed, LOCALES)
    english = [country for country in known if country.language == "en"]
    for number, world in worlds(pairs, lambda: rng.choice(english if rng.random() < ENGLISH else known), rng):
        yield _row(number, world)


def _row(number: int, world: World) -> dict:
    same, rng = number % 2 == 0, world.rng
    write = rng.choice(LISTS)
    while True:
        case, *written = write(world, same, rng)
        left, right = (normalise(record)[0] for record in written)
        if left and right and left != right and case.same == same and (same or words(left) != words(right)):
            break
    decision = decide(same, left, right)
    explained = explain(decision, left, right, rng)
    clusters = tuple(f"list-{cluster}" for cluster in case.clusters)
    return row(f"lists-{world.country.locale}-{number:07d}", f"list_{write.__name__}", clusters, (left, right), decision, explained)


def decide(same: bool, left: dict[str, str], right: dict[str, str]) -> str:
    """Return the truth, or POSSIBLE where the records have fields besides the name, but none of them in common."""
    names = {name for name in {**left, **right} if fields.concept_of(name) in ("first", "last", "name", "company")}
    more, shared = (left.keys() | right.keys()) - names, (left.keys() & right.keys()) - names
    if more and not shared:
        return rules.POSSIBLE
    return rules.DUPLICATE if same else rules.NO_MATCH


def explain(decision: str, left: dict[str, str], right: dict[str, str], rng: random.Random) -> str:
    """Return a reasoning for a decision that is the truth: what the records show, or one sentence where that would contradict it."""
    explained = reasoning.write(compare(left, right), decision, rng)
    if not reasoning.claims(explained) or reasoning.contradicts(decision, explained, left, right):
        return _UNSAID[decision]
    return explained


def words(record: dict[str, str]) -> str:
    """Return the words of a record in order, to compare two records whatever stands in which field."""
    return fold(" ".join(sorted(" ".join(record.values()).split())))


# -- the lists: each draws a case of one entity (`same`) or of two, and writes it down twice ---------------------------------


def register(world: World, same: bool, rng: random.Random) -> Records:
    """People with a date of birth and a place, from old or careless sources."""
    case = _drawn("people", same, world)
    if rng.random() < 0.25:
        list_records.add_given_names(case, world)
    if rng.random() < 0.4:  # people of the past
        earlier = rng.randint(60, 280)
        for values in (case.left, case.right):
            year, month, day = values["birth"]
            values["birth"] = (year - earlier, month, day)
    whole_name = rng.random() < 0.3
    shown = ["birth", *rng.sample(("city", "postcode", "email", "role", "street", "gender", "state"), rng.randint(1, 4))]
    shown += ["name"] if whole_name else ["first", "last"] + ["name"] * (rng.random() < 0.2)
    return list_records.write(case, shown, world, missing=rng.choice((0.0, 0.1, 0.3)), level=rng.choice((0, 1, 2, 3)))


def screening(world: World, same: bool, rng: random.Random) -> Records:
    """Names alone, of people, companies and ships, in several scripts and spellings."""
    is_person = rng.random() < 0.5
    case = _drawn("names of people" if is_person else "companies", same, world)
    if not is_person and rng.random() < 0.25:
        for values in (case.left, case.right):
            kind = rng.choice(("MV", "MV", "M/V", "M.T.", ""))
            values["company"] = tuple(f"{kind} {name.split()[0]}" for name in values["company"])
    case.scripts = case.scripts or (same and rng.random() < 0.3)
    shown = ["name" if is_person else "company", *["kind"] * (rng.random() < 0.7)]
    return list_records.write(case, shown, world, level=rng.choice((1, 1, 2, 3)))


def directory(world: World, same: bool, rng: random.Random) -> Records:
    """Sites of companies and other bodies, with parts of an address, a telephone, a web site."""
    case = _drawn("sites", same, world)
    shown = ["company", *rng.sample(("street", "street", "city", "postcode", "phone", "website", "trade", "country"), rng.randint(2, 6))]
    return list_records.write(case, list(dict.fromkeys(shown)), world, missing=rng.choice((0.0, 0.1, 0.3)), level=rng.choice((0, 1, 2, 3)))


def facilities(world: World, same: bool, rng: random.Random) -> Records:
    """A name, an address in one field, and a country."""
    return list_records.write(_drawn("sites", same, world), ["company", "place", "country"], world, level=rng.choice((1, 2, 3)))


def lines(world: World, same: bool, rng: random.Random) -> Records:
    """A company and its address in one line."""
    return list_records.write(_drawn("lines", same, world), ["line"], world, level=rng.choice((0, 1, 2)))


def _drawn(held: str, same: bool, world: World) -> Case:
    """Return a case with values of its own, so that a list may change them: those of the world stay as they are."""
    case = cases.draw(world.rng.choice(cases.LISTED[held]["same" if same else "other"]), world)
    case.left, case.right = dict(case.left), dict(case.right)
    return case


LISTS = (register, register, screening, directory, facilities, lines)
