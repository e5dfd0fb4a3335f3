"""Cases: how two records come to be of one person or company, or only to look so.

vocabulary/cases.yml lists them, and which can lead to which decision. Those that no table can describe are functions here: each takes a
world and returns a `Case`.
"""

import random
from collections.abc import Callable, Sequence

from crm_dedup_plugin.dataset import VOCABULARY
from crm_dedup_plugin.dataset.synth import mistakes
from crm_dedup_plugin.dataset.synth.countries import ROLES
from crm_dedup_plugin.dataset.synth.world import EMPLOYER, HOME, Case, Entity, World, one, two
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy.vocabulary import load

_NEW: dict[str, Callable[[World], dict[str, object]]] = {
    "address": lambda world: world.country.address(world.rng),
    "phone": lambda world: {"phone": world.country.phone("fixed")},
    "mobile": lambda world: {"mobile": world.country.phone("mobile")},
    "birth": lambda world: {"birth": world.birth()},
    "tax": lambda world: {"tax": world.country.tax()},
}
_CASE = {
    **{"like?": [str], "other?": str, "shared?": [[str]], "new?": {f"{what}?": str for what in _NEW}, "copied?": {str: str}},
    **{"note?": [[str]], "hidden?": [str], "mistakes?": [{str: str}], "scripts?": [str]},
}
_BY_DECISION = {kind: {label: [str] for label in LABELS} for kind in ("person", "company")}
_LISTED = {str: {"same": [str], "other": [str]}}
_SHAPE = {"person": {str: _CASE}, "company": {str: _CASE}, "decided": _BY_DECISION, "noted": _BY_DECISION, "listed": _LISTED}
_TABLES = load("cases", _SHAPE, VOCABULARY)
DECIDED, NOTED, LISTED = (_TABLES[name] for name in ("decided", "noted", "listed"))  # names of cases to draw from


def draw(name: str, world: World) -> Case:
    """Return a new case of this name."""
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](world)
    kind = next((kind for kind in ("person", "company") if name in _TABLES[kind]), None)
    if kind is None:
        raise UserError(f"vocabulary/cases.yml: unknown case {name!r}: add it to `person` or `company`")
    table, rng = _TABLES[kind][name], world.rng
    case = draw(_one_of(table["like"], rng), world) if "like" in table else _entities(table, kind, world)
    for what, chance in table.get("new", {}).items():
        if _happens(chance, rng):
            case.right = case.right | _NEW[what](world)
    for concept, chance in table.get("copied", {}).items():
        if _happens(chance, rng) and concept in case.left:
            case.right = case.right | {concept: case.left[concept]}
    if "note" in table:
        case.note = _one_of(table["note"], rng)
        case.hidden = frozenset(table.get("hidden", ())) - {case.note[1]}
    if "mistakes" in table:
        case.mistakes = {concept: getattr(mistakes, mistake) for concept, mistake in _one_of(table["mistakes"], rng).items()}
    case.scripts = case.scripts or "scripts" in table
    return case


def _entities(table: dict, kind: str, world: World) -> Case:
    entity = world.pick(kind)
    if "shared" not in table:
        return one(entity)
    values = entity.take(*_one_of(table["shared"], world.rng))
    if table.get("other") == "relative":
        return two(entity, world.relative(entity, **values))
    return two(entity, world.person(**values) if kind == "person" else world.company(**values))


def _one_of(alternatives: Sequence, rng: random.Random):
    return rng.choice(alternatives) if len(alternatives) > 1 else alternatives[0]


def _happens(chance: str, rng: random.Random) -> bool:
    return float(chance) == 1 or rng.random() < float(chance)


def contact_new_job(world: World) -> Case:
    """Somebody is at the old and at the new employer."""
    person = world.pick("person")
    return one(person, new_job(person.values, world))


def new_job(person: dict[str, object], world: World) -> dict[str, object]:
    """Return what changes for a person who goes to another company."""
    job = {**world.company().take(*EMPLOYER), "role": world.rng.choice(ROLES)}
    if person.get("domain") and person["email"].endswith(person["domain"]):
        job["email"] = world.email(person | job)
    return job


def contact_married(world: World) -> Case:
    """Somebody has the old and the new family name."""
    person, spouse = world.pick("person"), world.person()
    return one(person, spouse.take("last", *HOME) if world.rng.random() < 0.5 else spouse.take("last"))


def senior_junior(world: World) -> Case:
    """Father and son have one name and one address, or one of them is entered twice: the suffix alone decides nothing."""
    person, rng = world.pick("person"), world.rng
    year, month, day = world.birth()
    elder = Entity(person.id, person.values | ({"suffix": "Sr."} if rng.random() < 0.6 else {}), person.given)
    if rng.random() < 0.4:
        return one(elder)
    son = world.relative(person, first=person.values["first"], birth=(year // 2 + 1000, month, day))
    if rng.random() < 0.7:
        son.values["suffix"] = "Jr."
    return two(elder, son)


def colleague(world: World) -> Case:
    """Two people share a switchboard, some of them an info@ inbox."""
    person = world.pick("person")
    case = two(person, world.person(**person.take(*EMPLOYER), role=world.rng.choice(ROLES)))
    if world.rng.random() < 0.25 and "domain" in person.values:
        inbox = {"email": f"{world.rng.choice(('info', 'office', 'sales'))}@{person.values['domain']}"}
        case.left, case.right = case.left | inbox, case.right | inbox
    return case


def lent_address(world: World) -> Case:
    """One person's mailbox or mobile is entered for another of the same home or office."""
    person = world.pick("person")
    other = world.relative(person) if world.rng.random() < 0.5 else world.person(**person.take(*EMPLOYER))
    case = two(person, other)
    case.right = case.right | person.take(world.rng.choice(("email", "mobile")))
    return case


def account_legal_form(world: World) -> Case:
    """A company has its legal form written in another way, or left out."""
    company = world.pick("company")
    official, *others = company.values["legal"]
    other = world.rng.choice((*others, ""))
    names = (" ".join(name.replace(official, other).split()) if official in name else name for name in company.values["company"])
    return one(company, {"company": tuple(names)})


def account_abbreviated(world: World) -> Case:
    """A company appears under its initials, or under the first word of its name."""
    company = world.pick("company")
    native, latin = company.values["company"]
    words = [word for word in latin.split() if word[0].isalpha()]
    short = "".join(word[0] for word in words[:-1]).upper() if len(words) >= 4 and world.rng.random() < 0.5 else " ".join(words[:1])
    return one(company, {"company": (short if world.country.latin else native.split()[0], short)})


def account_rebranded(world: World) -> Case:
    """A company has an old and a new name, after a rebranding or a merger; some have a new domain."""
    company = world.pick("company")
    brand = world.country.brand()
    if world.rng.random() < 0.3:
        old = company.values["brand"]
        brand = (f"{old[0]} {brand[0]}", f"{old[1]} {brand[1]}")
    changed = world.renamed(company, brand)
    if world.rng.random() < 0.5:
        changed |= world.company(brand=brand).take("website", "domain", "email")
    return one(company, changed)


def subsidiary(world: World) -> Case:
    """A company and its subsidiary: another trade or legal form, its own tax number, much else shared."""
    company, rng = world.pick("company"), world.rng
    shared = [concept for concept in ("domain", "phone") if rng.random() < 0.6]
    if rng.random() < 0.7:
        shared += HOME
    if "domain" in shared:
        shared.append("website")
    values = company.take("brand", *shared)
    if rng.random() < 0.3:
        values["trade"], legal = company.values["trade"], company.values["legal"]
        values["legal"] = next((form for form in world.country.legal_forms if form != legal), legal)
    else:
        values["trade"] = rng.choice(("Holding", *world.country.trades))
    return two(company, world.company(**values))


def list_subsidiary(world: World) -> Case:
    """A company and its subsidiary of another trade; where the trade is the same, a list shows two spellings of one company."""
    while True:
        case = subsidiary(world)
        if case.left["trade"] != case.right["trade"]:
            return case


def similar_account(world: World) -> Case:
    """Two companies share a word of their names, and perhaps a city."""
    company, rng = world.pick("company"), world.rng
    shared = rng.choice(("brand", "trade")) if rng.random() < 0.2 else "brand"
    return two(company, world.company(**company.take(shared, *["city"] * (rng.random() < 0.5))))


_FUNCTIONS: dict[str, Callable[[World], Case]] = {
    function.__name__: function
    for function in (
        *(contact_new_job, contact_married, senior_junior, colleague, lent_address, account_legal_form, account_abbreviated),
        *(account_rebranded, subsidiary, list_subsidiary, similar_account),
    )
}
