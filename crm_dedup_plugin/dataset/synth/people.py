"""The slices of people: the ways in which two records come to be one person, or only to look so.

Each function takes a world and returns a `Scene`; `note_*` are decided by what the notes of one record say.
"""

from __future__ import annotations

from crm_dedup_plugin.dataset.synth.scene import EMPLOYER, HOME, Scene, one, two
from crm_dedup_plugin.dataset.synth.words import ROLES
from crm_dedup_plugin.dataset.synth.world import Entity, World

_PERSONAL = frozenset(("email", "mobile", "birth"))


# -- one person ---------------------------------------------------------------------------------------------------


def contact_same(world: World) -> Scene:
    """Somebody entered twice, with the usual slips."""
    return one(world.pick("person"), damage={world.rng.choice(("first", "last")): "typo"})


def contact_nickname(world: World) -> Scene:
    """Somebody entered under a short form or an initial."""
    return one(world.pick("person"), damage={"first": world.rng.choice(("nickname", "nickname", "initial"))})


def contact_script(world: World) -> Scene:
    """Somebody entered in the native script and in Latin letters; without diacritics where the script is Latin."""
    return one(world.pick("person"), damage={"first": "spelled", "last": "spelled"}, scripts=True)


def contact_moved(world: World) -> Scene:
    """Somebody with an old and a new home, and often a new number."""
    person = world.pick("person")
    moved = {**person.values, **world.pool.address(world.rng), "phone": world.pool.phone("fixed")}
    if world.rng.random() < 0.3:
        moved["mobile"] = world.pool.phone("mobile")
    return one(person, moved)


def contact_new_job(world: World) -> Scene:
    """Somebody at the old and at the new employer."""
    person, company = world.pick("person"), world.company()
    values = {**person.values, **world.employer(company), "role": world.rng.choice(ROLES)}
    if person.values.get("domain") and person.values["email"].endswith(person.values["domain"]):
        values["email"] = world.email(values)
    return one(person, values)


def contact_married(world: World) -> Scene:
    """Somebody under the old and the new family name."""
    person, spouse = world.pick("person"), world.person()
    values = {**person.values, "last": spouse.values["last"]}
    if world.rng.random() < 0.5:
        values |= {key: spouse.values[key] for key in HOME}
    return one(person, values)


def contact_conflict(world: World) -> Scene:
    """Somebody whose date of birth is wrong in one record."""
    person = world.pick("person")
    return one(person, {**person.values, "birth": world.birth()})


# -- two people ---------------------------------------------------------------------------------------------------


def relative(world: World) -> Scene:
    """Two of a family at one address, some with one telephone or one mailbox."""
    person = world.pick("person")
    shared = {key: person.values[key] for key in ("phone", *world.rng.choice(((), (), ("email",), ("mobile",)))) if key in person.values}
    return two(person, world.relative(person, **shared))


def twin(world: World) -> Scene:
    """Two of a family, born on one day."""
    person = world.pick("person")
    return two(person, world.relative(person, birth=person.values["birth"]))


def senior_junior(world: World) -> Scene:
    """Father and son of one name at one address, or one of them twice: the suffix alone decides nothing."""
    person, rng = world.pick("person"), world.rng
    year, month, day = world.birth()
    elder = Entity(person.id, {**person.values, **({"suffix": "Sr."} if rng.random() < 0.6 else {})}, person.given)
    if rng.random() < 0.4:
        return one(elder)
    son = world.relative(person, first=person.values["first"], birth=(year // 2 + 1000, month, day))
    if rng.random() < 0.7:
        son.values["suffix"] = "Jr."
    return two(elder, son)


def colleague(world: World) -> Scene:
    """Two people behind one switchboard, some behind one info@ inbox."""
    person = world.pick("person")
    shared = {key: person.values[key] for key in EMPLOYER if key in person.values}
    other = world.person(**shared, role=world.rng.choice(ROLES))
    if world.rng.random() < 0.25 and "domain" in person.values:
        desk = f"{world.rng.choice(('info', 'office', 'sales'))}@{person.values['domain']}"
        return Scene({**person.values, "email": desk}, {**other.values, "email": desk}, (person.id, other.id))
    return two(person, other)


def namesake(world: World) -> Scene:
    """Two people of one name, often in one city."""
    person = world.pick("person")
    nearby = world.rng.choice(((), ("city", "postcode", "country"), ("company", "role")))
    return two(person, world.person(**{key: person.values[key] for key in ("first", "last", *nearby) if key in person.values}))


def similar_name(world: World) -> Scene:
    """Two people who share only a first or a family name."""
    person, part = world.pick("person"), world.rng.choice(("first", "last"))
    return two(person, world.person(**{part: person.values[part], "city": person.values["city"]}))


def stranger(world: World) -> Scene:
    """Two people with nothing in common."""
    return two(world.pick("person"), world.person())


def lent_address(world: World) -> Scene:
    """One person's mailbox or mobile entered for another of the same house or office."""
    person = world.pick("person")
    other = (
        world.relative(person) if world.rng.random() < 0.5 else world.person(**{key: person.values[key] for key in EMPLOYER if key in person.values})
    )
    key = world.rng.choice(("email", "mobile"))
    return Scene(person.values, {**other.values, key: person.values[key]}, (person.id, other.id))


# -- what only the notes tell ------------------------------------------------------------------------------------------


def note_maiden(world: World) -> Scene:
    """Somebody who has married, with the maiden name in the notes."""
    scene = contact_married(world)
    scene.right |= {key: scene.left[key] for key in (*HOME, "phone") if key in scene.left}
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
    keys = ("first", *EMPLOYER)
    other = world.person(**{key: person.values[key] for key in keys if key in person.values})
    scene = two(person, other)
    scene.note, scene.hidden = ("met", "last"), _PERSONAL
    return scene


def note_shared(world: World) -> Scene:
    """An e-mail or a mobile agrees, and the notes say that several people use it."""
    person, key = world.pick("person"), world.rng.choice(("email", "mobile"))
    scene = one(person, damage={"first": world.rng.choice(("nickname", "typo"))})
    scene.hidden = _PERSONAL - {key}
    scene.note = (f"shared_{key}", key)
    return scene


def note_own_contact(world: World) -> Scene:
    """The e-mail or mobile of one record stands in the notes of the other, as the person's own."""
    scene = one(world.pick("person"))
    scene.note = ("own_contact", world.rng.choice(("email", "mobile")))
    scene.hidden = _PERSONAL - {scene.note[1]}
    return scene


def note_others_contact(world: World) -> Scene:
    """The e-mail or mobile of one record stands in the notes of the other, as somebody else's."""
    scene = namesake(world) if world.rng.random() < 0.5 else one(world.pick("person"))
    scene.note = ("others_contact", world.rng.choice(("email", "mobile")))
    scene.hidden = _PERSONAL - {scene.note[1]}
    return scene


def note_namesake(world: World) -> Scene:
    """Two people of one name, and the notes warn of it."""
    person = world.pick("person")
    keys = HOME if world.rng.random() < 0.6 else EMPLOYER
    scene = two(person, world.person(**{key: person.values[key] for key in ("first", "last", *keys) if key in person.values}))
    scene.note = ("namesake", "last")
    return scene
