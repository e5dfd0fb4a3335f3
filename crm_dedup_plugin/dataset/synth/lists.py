"""Pairs from lists that are no CRM: ``crm-dedup synth --lists --n 80000 --out data/lists.jsonl``.

Registers of people, directories of sites, names alone, a company and its address in one line. They hold few fields and much
damage, and no identifier that stands by itself. So the label is the truth about the two entities, not the policy's reading of
the records, except where both hold nothing but one name in common: that is POSSIBLE.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from crm_dedup_plugin.dataset.synth import companies, entries, people, words
from crm_dedup_plugin.dataset.synth.entries import Written
from crm_dedup_plugin.dataset.synth.generate import Dice, pools, worlds
from crm_dedup_plugin.dataset.synth.scene import Scene
from crm_dedup_plugin.dataset.synth.world import World
from crm_dedup_plugin.pair.record import normalise
from crm_dedup_plugin.policy import fields, reasoning, rules
from crm_dedup_plugin.policy.evidence import compare
from crm_dedup_plugin.policy.values import fold

Values = dict[str, str]
_ENGLISH = 0.5  # share of worlds in English, in which most such lists are
_UNSAID = {rules.DUPLICATE: "The entries agree.", rules.NO_MATCH: "The entries differ.", rules.POSSIBLE: "Too little can be compared."}

ONE_PERSON = (people.contact_same, people.contact_same, people.contact_nickname, people.contact_script, people.contact_moved, people.contact_married)
TWO_PEOPLE = (people.relative, people.namesake, people.similar_name, people.similar_name, people.colleague, people.stranger)
ONE_COMPANY = (
    companies.account_same, companies.account_same, companies.account_legal_form, companies.account_abbreviated, companies.account_script,
)  # fmt: skip


def subsidiary(world: World) -> Scene:
    """A company and its subsidiary of another trade: of the same, a list could not tell them from two spellings of one."""
    while True:
        scene = companies.subsidiary(world)
        if scene.left["trade"] != scene.right["trade"]:
            return scene


TWO_COMPANIES = (companies.similar_account, companies.similar_account, companies.office_tower, subsidiary, companies.other_account)
# Sites of one company are two entities to a CRM and often one to a list, so that none of them is here.
ONE_SITE = (*ONE_COMPANY, companies.account_moved)
TWO_SITES = (*TWO_COMPANIES, companies.franchise)


def generate(pairs: int, seed: int = 7) -> Iterator[dict]:
    """Yield `pairs` labelled rows with clusters and slices, as many of one entity as of two; equal arguments give equal rows."""
    rng = Dice(f"{seed} lists")
    known = pools(seed, words.LOCALES)
    english, all_names = sorted(name for name in known if name.startswith("en_")), sorted(known)
    for number, world in worlds(pairs, lambda: known[rng.choice(english if rng.random() < _ENGLISH else all_names)], rng):
        yield _row(number, world, rng)


def _row(number: int, world: World, rng: random.Random) -> dict:
    same = number % 2 == 0
    write = rng.choice(LISTS)
    while True:
        scene, left, right = write(world, same, rng)
        sides = tuple(normalise(side)[0] for side in (left, right))
        alike = _text(sides[0]) == _text(sides[1])
        if all(sides) and scene.same == same and sides[0] != sides[1] and not (alike and not same):
            break
    decision = _decide(same, *sides)
    explained = reasoning.write(compare(*sides), decision, rng)
    if not reasoning.claims(explained) or reasoning.contradicts(decision, explained, *sides):
        explained = _UNSAID[decision]
    return {
        "id": f"lists-{world.pool.locale}-{number:07d}",
        "slice": f"list_{write.__name__}",
        "cluster_a": f"list-{scene.clusters[0]}",
        "cluster_b": f"list-{scene.clusters[1]}",
        "input": {"record_a": sides[0], "record_b": sides[1]},
        "output": {"decision": decision, "reasoning": explained},
    }


def _decide(same: bool, left: Values, right: Values) -> str:
    """Return the truth, or POSSIBLE where more fields than the name are to be had, and none of them on both sides."""
    names = {name for name in {**left, **right} if fields.concept_of(name) in ("first", "last", "name", "company")}
    more, shared = (left.keys() | right.keys()) - names, (left.keys() & right.keys()) - names
    if more and not shared:
        return rules.POSSIBLE
    return rules.DUPLICATE if same else rules.NO_MATCH


def _text(record: Values) -> str:
    return fold(" ".join(sorted(" ".join(record.values()).split())))


# -- the lists: each draws a scene and writes it down twice ---------------------------------------------------------------


def _drawn(choices: Sequence[Callable[[World], Scene]], world: World) -> Scene:
    """Return a scene whose values a list may change: those of the world stay as they are."""
    scene = world.rng.choice(choices)(world)
    scene.left, scene.right = dict(scene.left), dict(scene.right)
    return scene


def register(world: World, same: bool, rng: random.Random) -> Written:
    """People with a date of birth and a place, from old or careless sources."""
    scene = _drawn(ONE_PERSON if same else TWO_PEOPLE, world)
    if rng.random() < 0.25:
        entries.add_given_names(scene, world)
    if rng.random() < 0.4:  # people of the past
        year = rng.randint(60, 280)
        for values in (scene.left, scene.right):
            y, m, d = values["birth"]
            values["birth"] = (y - year, m, d)
    whole = rng.random() < 0.3
    shown = ["birth", *rng.sample(("city", "postcode", "email", "role", "street", "gender", "state"), rng.randint(1, 4))]
    shown += ["name"] if whole else ["first", "last"] + ["name"] * (rng.random() < 0.2)
    return entries.write(scene, shown, world, missing=rng.choice((0.0, 0.1, 0.3)), level=rng.choice((0, 1, 2, 3)))


def screening(world: World, same: bool, rng: random.Random) -> Written:
    """Names alone, of people, companies and ships, in several scripts and spellings."""
    is_person = rng.random() < 0.5
    choices = (ONE_PERSON[:4] if same else TWO_PEOPLE[2:]) if is_person else (ONE_COMPANY if same else TWO_COMPANIES)
    scene = _drawn(choices, world)
    if not is_person and rng.random() < 0.25:
        for values in (scene.left, scene.right):
            kind = rng.choice(("MV", "MV", "M/V", "M.T.", ""))
            values["company"] = tuple(f"{kind} {name.split()[0]}" for name in values["company"])
    scene.scripts = scene.scripts or (same and rng.random() < 0.3)
    return entries.write(scene, ["name" if is_person else "company", *["kind"] * (rng.random() < 0.7)], world, level=rng.choice((1, 1, 2, 3)))


def directory(world: World, same: bool, rng: random.Random) -> Written:
    """Sites of companies and other bodies, with parts of an address, a telephone, a web site."""
    scene = _drawn(ONE_SITE if same else TWO_SITES, world)
    shown = ["company", *rng.sample(("street", "street", "city", "postcode", "phone", "website", "trade", "country"), rng.randint(2, 6))]
    return entries.write(scene, list(dict.fromkeys(shown)), world, missing=rng.choice((0.0, 0.1, 0.3)), level=rng.choice((0, 1, 2, 3)))


def facilities(world: World, same: bool, rng: random.Random) -> Written:
    """A name, an address in one piece, and a country."""
    scene = _drawn(ONE_SITE if same else TWO_SITES, world)
    return entries.write(scene, ["company", "place", "country"], world, level=rng.choice((1, 2, 3)))


def lines(world: World, same: bool, rng: random.Random) -> Written:
    """A company and its address in one line."""
    scene = _drawn(ONE_SITE if same else TWO_COMPANIES, world)
    return entries.write(scene, ["line"], world, level=rng.choice((0, 1, 2)))


LISTS: tuple[Callable[..., Written], ...] = (register, register, screening, directory, facilities, lines)
