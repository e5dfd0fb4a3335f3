"""The slices: one function for each way in which two records of a CRM come to be the same, or only to look so.

Each takes a world and returns a `Scene`: what is known of the left and of the right record, and whether they are one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crm_dedup_plugin.synth.words import ROLES
from crm_dedup_plugin.synth.world import Entity, World

_EMPLOYER = ("company", "phone", "website", "street", "city", "postcode", "country", "domain")
_HOME = ("street", "city", "postcode", "country")
_PERSONAL = frozenset(("email", "mobile", "birth"))
_TAX = frozenset(("tax",))


@dataclass
class Scene:
    """Two states of the world: values by concept, the clusters, and damage that the slice is about."""

    left: dict[str, object]
    right: dict[str, object]
    clusters: tuple[str, str]
    damage: dict[str, str] = field(default_factory=dict)  # concept: name of a function in `noise`, for the right record
    scripts: bool = False  # one record in the native script, one in Latin letters
    note: tuple[str, str] | None = None  # kind of note in the right record, and the concept of the left record that it names
    hidden: frozenset[str] = frozenset()  # concepts that neither record shows, so that the note decides

    @property
    def same(self) -> bool:
        """Tell the truth: whether both records describe one entity."""
        return self.clusters[0] == self.clusters[1]


def _one(entity: Entity, right: dict[str, object] | None = None, **more) -> Scene:
    return Scene(entity.values, right or dict(entity.values), (entity.id, entity.id), **more)


def _two(left: Entity, right: Entity) -> Scene:
    return Scene(left.values, right.values, (left.id, right.id))


# -- one person ---------------------------------------------------------------------------------------------------


def contact_same(world: World) -> Scene:
    """Somebody entered twice, with the usual slips."""
    return _one(world.pick("person"), damage={world.rng.choice(("first", "last")): "typo"})


def contact_nickname(world: World) -> Scene:
    """Somebody entered under a short form or an initial."""
    return _one(world.pick("person"), damage={"first": world.rng.choice(("nickname", "nickname", "initial"))})


def contact_script(world: World) -> Scene | None:
    """Somebody entered in the native script and in Latin letters; without diacritics where the script is Latin."""
    return _one(world.pick("person"), damage={"first": "spelled", "last": "spelled"}, scripts=True)


def contact_moved(world: World) -> Scene:
    """Somebody with an old and a new home, and often a new number."""
    person = world.pick("person")
    moved = {**person.values, **world.pool.address(world.rng), "phone": world.pool.phone("fixed")}
    if world.rng.random() < 0.3:
        moved["mobile"] = world.pool.phone("mobile")
    return _one(person, moved)


def contact_new_job(world: World) -> Scene:
    """Somebody at the old and at the new employer."""
    person, company = world.pick("person"), world.company()
    values = {**person.values, **world.employer(company), "role": world.rng.choice(ROLES)}
    if person.values.get("domain") and person.values["email"].endswith(person.values["domain"]):
        values["email"] = world.email(values)
    return _one(person, values)


def contact_married(world: World) -> Scene:
    """Somebody under the old and the new family name."""
    person, spouse = world.pick("person"), world.person()
    values = {**person.values, "last": spouse.values["last"]}
    if world.rng.random() < 0.5:
        values |= {key: spouse.values[key] for key in _HOME}
    return _one(person, values)


def contact_conflict(world: World) -> Scene:
    """Somebody whose date of birth is wrong in one record."""
    person = world.pick("person")
    return _one(person, {**person.values, "birth": world.birth()})


# -- two people ---------------------------------------------------------------------------------------------------


def relative(world: World) -> Scene:
    """Two of a family at one address, some with one telephone or one mailbox."""
    person = world.pick("person")
    shared = {key: person.values[key] for key in ("phone", *world.rng.choice(((), (), ("email",), ("mobile",)))) if key in person.values}
    return _two(person, world.relative(person, **shared))


def twin(world: World) -> Scene:
    """Two of a family, born on one day."""
    person = world.pick("person")
    return _two(person, world.relative(person, birth=person.values["birth"]))


def senior_junior(world: World) -> Scene:
    """Father and son of one name at one address, or one of them twice: the suffix alone decides nothing."""
    person, rng = world.pick("person"), world.rng
    year, month, day = world.birth()
    elder = Entity(person.id, {**person.values, **({"suffix": "Sr."} if rng.random() < 0.6 else {})}, person.given)
    if rng.random() < 0.4:
        return _one(elder)
    son = world.relative(person, first=person.values["first"], birth=(year // 2 + 1000, month, day))
    if rng.random() < 0.7:
        son.values["suffix"] = "Jr."
    return _two(elder, son)


def colleague(world: World) -> Scene:
    """Two people behind one switchboard, some behind one info@ inbox."""
    person = world.pick("person")
    shared = {key: person.values[key] for key in _EMPLOYER if key in person.values}
    other = world.person(**shared, role=world.rng.choice(ROLES))
    if world.rng.random() < 0.25 and "domain" in person.values:
        desk = f"{world.rng.choice(('info', 'office', 'sales'))}@{person.values['domain']}"
        return Scene({**person.values, "email": desk}, {**other.values, "email": desk}, (person.id, other.id))
    return _two(person, other)


def namesake(world: World) -> Scene:
    """Two people of one name, often in one city."""
    person = world.pick("person")
    nearby = world.rng.choice(((), ("city", "postcode", "country"), ("company", "role")))
    return _two(person, world.person(**{key: person.values[key] for key in ("first", "last", *nearby) if key in person.values}))


def similar_name(world: World) -> Scene:
    """Two people who share only a first or a family name."""
    person, part = world.pick("person"), world.rng.choice(("first", "last"))
    return _two(person, world.person(**{part: person.values[part], "city": person.values["city"]}))


def stranger(world: World) -> Scene:
    """Two people with nothing in common."""
    return _two(world.pick("person"), world.person())


def lent_address(world: World) -> Scene:
    """One person's mailbox or mobile entered for another of the same house or office."""
    person = world.pick("person")
    other = (
        world.relative(person) if world.rng.random() < 0.5 else world.person(**{key: person.values[key] for key in _EMPLOYER if key in person.values})
    )
    key = world.rng.choice(("email", "mobile"))
    return Scene(person.values, {**other.values, key: person.values[key]}, (person.id, other.id))


# -- one company --------------------------------------------------------------------------------------------------


def account_same(world: World) -> Scene:
    """A company entered twice, with the usual slips."""
    return _one(world.pick("company"), damage={"company": "typo"})


def account_legal_form(world: World) -> Scene:
    """A company with its legal form written otherwise, or left out."""
    company = world.pick("company")
    legal = company.values["legal"]
    other = world.rng.choice((*legal[1:], "")) or ""
    native, latin = company.values["company"]
    return _one(company, {**company.values, "company": tuple(_swap_end(name, legal[0], other) for name in (native, latin))})


def account_abbreviated(world: World) -> Scene:
    """A company under its initials, or without its trade."""
    company = world.pick("company")
    native, latin = company.values["company"]
    words = [word for word in latin.split() if word[0].isalpha()]
    short = "".join(word[0] for word in words[:-1]).upper() if len(words) >= 4 and world.rng.random() < 0.5 else " ".join(words[:1])
    return _one(company, {**company.values, "company": (short if world.pool.latin else native.split()[0], short)})


def account_rebranded(world: World) -> Scene:
    """A company under its old and its new name, after a rebranding or a merger; some with a new domain."""
    company = world.pick("company")
    brand = world.pool.brand()
    if world.rng.random() < 0.3:
        old = company.values["brand"]
        brand = (f"{old[0]} {brand[0]}", f"{old[1]} {brand[1]}")
    values = world.renamed(company.values, brand=brand)
    if world.rng.random() < 0.5:
        other = world.company(brand=brand)
        values |= {key: other.values[key] for key in ("website", "domain", "email")}
    return _one(company, values)


def account_moved(world: World) -> Scene:
    """A company at its old and at its new address."""
    company = world.pick("company")
    return _one(company, {**company.values, **world.pool.address(world.rng)})


def account_script(world: World) -> Scene | None:
    """A company in the native script and in Latin letters."""
    return _one(world.pick("company"), damage={"company": "spelled"}, scripts=True)


def account_conflict(world: World) -> Scene:
    """A company whose tax number is wrong in one record."""
    company = world.pick("company")
    return _one(company, {**company.values, "tax": world.pool.tax()})


# -- two companies ------------------------------------------------------------------------------------------------


def branch(world: World) -> Scene:
    """Two sites of one company, each with its own address and mostly its own telephone."""
    company = world.pick("company")
    keep = {key: company.values[key] for key in ("brand", "trade", "legal", "company", "domain", "website", "email", "tax")}
    site = world.company(**keep)
    if world.rng.random() < 0.15:
        site.values["phone"] = company.values["phone"]
    return _two(company, site)


def subsidiary(world: World) -> Scene:
    """A company and its subsidiary: another trade or legal form, its own tax number, much else shared."""
    company, rng = world.pick("company"), world.rng
    shared = [key for key in ("domain", "phone") if rng.random() < 0.6]
    keep = {key: company.values[key] for key in ("brand", *shared)}
    if rng.random() < 0.7:
        keep |= {key: company.values[key] for key in _HOME}
    if "domain" in keep:
        keep["website"] = company.values["website"]
    if rng.random() < 0.3:
        keep["trade"] = company.values["trade"]
        keep["legal"] = next((form for form in world.pool.legal if form != company.values["legal"]), company.values["legal"])
    else:
        keep["trade"] = rng.choice(("Holding", *world.pool.trades))
    return _two(company, world.company(**keep))


def franchise(world: World) -> Scene:
    """Two independent shops under one brand and web site."""
    company = world.pick("company")
    keep = {key: company.values[key] for key in ("brand", "trade", "website")}
    return _two(company, world.company(**keep))


def office_tower(world: World) -> Scene:
    """Two tenants of one house, some behind one switchboard."""
    company = world.pick("company")
    keys = (*_HOME, "phone") if world.rng.random() < 0.3 else _HOME
    return _two(company, world.company(**{key: company.values[key] for key in keys}))


def similar_account(world: World) -> Scene:
    """Two companies that share a word of their names, and perhaps a city."""
    company = world.pick("company")
    keep = {world.rng.choice(("brand", "trade")): None} if world.rng.random() < 0.2 else {"brand": company.values["brand"]}
    keep = {key: company.values[key] for key in keep}
    if world.rng.random() < 0.5:
        keep |= {"city": company.values["city"]}
    return _two(company, world.company(**keep))


def other_account(world: World) -> Scene:
    """Two companies with nothing in common."""
    return _two(world.pick("company"), world.company())


# -- what only the notes tell ---------------------------------------------------------------------------------------


def note_maiden(world: World) -> Scene:
    """Somebody who has married, with the maiden name in the notes."""
    scene = contact_married(world)
    scene.right |= {key: scene.left[key] for key in (*_HOME, "phone") if key in scene.left}
    scene.note, scene.hidden = ("maiden", "last"), _PERSONAL
    return scene


def note_employer(world: World) -> Scene:
    """Somebody with a new job, with the old employer in the notes."""
    scene = contact_new_job(world)
    scene.note = ("employer", "company")
    return scene


def note_acquaintance(world: World) -> Scene:
    """Two people of one first name, one of whom knows the other or works for her."""
    person = world.pick("person")
    keys = ("first", *_EMPLOYER)
    other = world.person(**{key: person.values[key] for key in keys if key in person.values})
    scene = _two(person, other)
    scene.note, scene.hidden = ("met", "last"), _PERSONAL
    return scene


def note_shared(world: World) -> Scene:
    """An e-mail or a mobile agrees, and the notes say that several people use it."""
    person, key = world.pick("person"), world.rng.choice(("email", "mobile"))
    scene = _one(person, damage={"first": world.rng.choice(("nickname", "typo"))})
    scene.hidden = _PERSONAL - {key}
    scene.note = (f"shared_{key}", key)
    return scene


def note_own_contact(world: World) -> Scene:
    """The e-mail or mobile of one record stands in the notes of the other, as the person's own."""
    scene = _one(world.pick("person"))
    scene.note = ("own_contact", world.rng.choice(("email", "mobile")))
    scene.hidden = _PERSONAL - {scene.note[1]}
    return scene


def note_others_contact(world: World) -> Scene:
    """The e-mail or mobile of one record stands in the notes of the other, as somebody else's."""
    scene = namesake(world) if world.rng.random() < 0.5 else _one(world.pick("person"))
    scene.note = ("others_contact", world.rng.choice(("email", "mobile")))
    scene.hidden = _PERSONAL - {scene.note[1]}
    return scene


def note_namesake(world: World) -> Scene:
    """Two people of one name, and the notes warn of it."""
    person = world.pick("person")
    keys = _HOME if world.rng.random() < 0.6 else _EMPLOYER
    scene = _two(person, world.person(**{key: person.values[key] for key in ("first", "last", *keys) if key in person.values}))
    scene.note = ("namesake", "last")
    return scene


def note_renamed(world: World) -> Scene:
    """A company under its new name, with the old one in the notes."""
    scene = account_rebranded(world)
    scene.note, scene.hidden = ("renamed", "company"), _TAX
    return scene


def note_related(world: World) -> Scene:
    """Two companies, the notes of one naming the other as a parent, a customer or a landlord."""
    company = world.pick("company")
    keys = (*_HOME, *world.rng.choice(((), ("phone",), ("website", "domain"), ("phone", "website", "domain"))))
    scene = _two(company, world.company(**{key: company.values[key] for key in keys}))
    scene.note, scene.hidden = ("related", "company"), _TAX
    return scene


def note_moved(world: World) -> Scene:
    """A company at its new address, with the old one in the notes."""
    scene = account_moved(world)
    scene.note, scene.hidden = ("moved", "street"), _TAX
    if world.rng.random() < 0.5:
        scene.right["phone"] = world.pool.phone("fixed")
    return scene


def note_head_office(world: World) -> Scene:
    """A branch, with the address of its head office in the notes."""
    scene = branch(world)
    scene.note, scene.hidden = ("head_office", "street"), _TAX
    if world.rng.random() < 0.4:
        scene.right["phone"] = scene.left["phone"]
    return scene


def _swap_end(name: str, old: str, new: str) -> str:
    return " ".join(name.replace(old, new).split()) if old in name else name


Scenario = Callable[[World], Scene]
ONE_PERSON: tuple[Scenario, ...] = (contact_same, contact_nickname, contact_script, contact_moved, contact_new_job, contact_married)
TWO_PEOPLE: tuple[Scenario, ...] = (
    *2 * (relative, twin, senior_junior, colleague, namesake, similar_name), lent_address, stranger,
)  # fmt: skip
UNDECIDED_PEOPLE: tuple[Scenario, ...] = (contact_conflict, lent_address, *ONE_PERSON, namesake, senior_junior, colleague)
ONE_COMPANY: tuple[Scenario, ...] = (
    account_same, account_legal_form, account_abbreviated, account_rebranded, account_moved, account_script,
)  # fmt: skip
TWO_COMPANIES: tuple[Scenario, ...] = (
    *2 * (branch, subsidiary, franchise, office_tower, similar_account), other_account,
)  # fmt: skip
UNDECIDED_COMPANIES: tuple[Scenario, ...] = (account_conflict, *ONE_COMPANY, branch, subsidiary, office_tower)
NOTED = {
    "person": {
        "DUPLICATE": (note_maiden, note_employer, note_own_contact),
        "NO_MATCH": (note_acquaintance, note_namesake),
        "POSSIBLE": (note_shared, note_others_contact, note_maiden),
    },
    "company": {
        "DUPLICATE": (note_renamed, note_moved),
        "NO_MATCH": (note_related, note_head_office),
        "POSSIBLE": (note_renamed, note_moved, account_conflict),
    },
}
BY_DECISION = {
    "person": {"DUPLICATE": (*ONE_PERSON, senior_junior), "NO_MATCH": TWO_PEOPLE, "POSSIBLE": UNDECIDED_PEOPLE},
    "company": {"DUPLICATE": ONE_COMPANY, "NO_MATCH": TWO_COMPANIES, "POSSIBLE": UNDECIDED_COMPANIES},
}
