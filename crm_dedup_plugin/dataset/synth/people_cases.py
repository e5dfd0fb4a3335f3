"""Cases of people: how two records come to be of one person, or only to look so.

Each function takes a world and returns a `Case`; its name is the `slice` of the row. Only the notes decide `note_*`.
"""

from crm_dedup_plugin.dataset.synth.countries import ROLES
from crm_dedup_plugin.dataset.synth.mistakes import initial, nickname, respelled, typo
from crm_dedup_plugin.dataset.synth.world import EMPLOYER, HOME, Case, Entity, World, one, two

_IDENTIFIERS = frozenset(("email", "mobile", "birth"))


def contact_same(world: World) -> Case:
    """Somebody is entered twice, with the usual typos."""
    return one(world.pick("person"), mistakes={world.rng.choice(("first", "last")): typo})


def contact_nickname(world: World) -> Case:
    """Somebody is entered under a short form or an initial."""
    return one(world.pick("person"), mistakes={"first": world.rng.choice((nickname, nickname, initial))})


def contact_script(world: World) -> Case:
    """Somebody is entered in the native script and in Latin letters; without diacritics where the script is Latin."""
    return one(world.pick("person"), mistakes={"first": respelled, "last": respelled}, scripts=True)


def contact_moved(world: World) -> Case:
    """Somebody has an old and a new home, and often a new number."""
    person = world.pick("person")
    moved = {**world.country.address(world.rng), "phone": world.country.phone("fixed")}
    if world.rng.random() < 0.3:
        moved["mobile"] = world.country.phone("mobile")
    return one(person, moved)


def contact_new_job(world: World) -> Case:
    """Somebody is at the old and at the new employer."""
    person, company = world.pick("person"), world.company()
    job = {**company.take(*EMPLOYER), "role": world.rng.choice(ROLES)}
    if person.values.get("domain") and person.values["email"].endswith(person.values["domain"]):
        job["email"] = world.email(person.values | job)
    return one(person, job)


def contact_married(world: World) -> Case:
    """Somebody has the old and the new family name."""
    person, spouse = world.pick("person"), world.person()
    return one(person, spouse.take("last", *HOME) if world.rng.random() < 0.5 else spouse.take("last"))


def contact_conflict(world: World) -> Case:
    """Somebody has a wrong date of birth in one record."""
    return one(world.pick("person"), {"birth": world.birth()})


def relative(world: World) -> Case:
    """Two members of a family live at one address, some with one telephone or one mailbox."""
    person = world.pick("person")
    return two(person, world.relative(person, **person.take("phone", *world.rng.choice(((), (), ("email",), ("mobile",))))))


def twin(world: World) -> Case:
    """Two members of a family were born on one day."""
    person = world.pick("person")
    return two(person, world.relative(person, birth=person.values["birth"]))


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


def namesake(world: World) -> Case:
    """Two people have one name, and often live in one city."""
    person = world.pick("person")
    nearby = world.rng.choice(((), ("city", "postcode", "country"), ("company", "role")))
    return two(person, world.person(**person.take("first", "last", *nearby)))


def similar_name(world: World) -> Case:
    """Two people share only a first or a family name, and a city."""
    person = world.pick("person")
    return two(person, world.person(**person.take(world.rng.choice(("first", "last")), "city")))


def stranger(world: World) -> Case:
    """Two people have nothing in common."""
    return two(world.pick("person"), world.person())


def lent_address(world: World) -> Case:
    """One person's mailbox or mobile is entered for another of the same home or office."""
    person = world.pick("person")
    other = world.relative(person) if world.rng.random() < 0.5 else world.person(**person.take(*EMPLOYER))
    case = two(person, other)
    case.right = case.right | person.take(world.rng.choice(("email", "mobile")))
    return case


def note_maiden(world: World) -> Case:
    """Somebody has married, and the maiden name is in the notes."""
    case = contact_married(world)
    case.right |= {key: case.left[key] for key in (*HOME, "phone") if key in case.left}
    case.note, case.hidden = ("maiden", "last"), _IDENTIFIERS
    return case


def note_employer(world: World) -> Case:
    """Somebody has a new job, and the old employer is in the notes."""
    case = contact_new_job(world)
    case.note = ("employer", "company")
    return case


def note_acquaintance(world: World) -> Case:
    """Two people have one first name, and one of them knows the other or works for her."""
    person = world.pick("person")
    case = two(person, world.person(**person.take("first", *EMPLOYER)))
    case.note, case.hidden = ("met", "last"), _IDENTIFIERS
    return case


def note_shared(world: World) -> Case:
    """An e-mail address or a mobile agrees, and the notes say that several people use it."""
    person, concept = world.pick("person"), world.rng.choice(("email", "mobile"))
    mistakes = {"first": world.rng.choice((nickname, typo))}
    return one(person, mistakes=mistakes, note=(f"shared_{concept}", concept), hidden=_IDENTIFIERS - {concept})


def note_own_contact(world: World) -> Case:
    """The e-mail address or mobile of one record is in the notes of the other, as the person's own."""
    return _noted_contact(one(world.pick("person")), "own_contact", world)


def note_others_contact(world: World) -> Case:
    """The e-mail address or mobile of one record is in the notes of the other, as somebody else's."""
    return _noted_contact(namesake(world) if world.rng.random() < 0.5 else one(world.pick("person")), "others_contact", world)


def note_namesake(world: World) -> Case:
    """Two people have one name, and the notes warn of it."""
    person = world.pick("person")
    case = two(person, world.person(**person.take("first", "last", *(HOME if world.rng.random() < 0.6 else EMPLOYER))))
    case.note = ("namesake", "last")
    return case


def _noted_contact(case: Case, note: str, world: World) -> Case:
    concept = world.rng.choice(("email", "mobile"))
    case.note, case.hidden = (note, concept), _IDENTIFIERS - {concept}
    return case


# -- the cases that can lead to each decision; one that is named twice is drawn twice as often ------------------------------

ONE_PERSON = (contact_same, contact_nickname, contact_script, contact_moved, contact_new_job, contact_married)
TWO_PEOPLE = (*2 * (relative, twin, senior_junior, colleague, namesake, similar_name), lent_address, stranger)
BY_DECISION = {
    "DUPLICATE": (*ONE_PERSON, senior_junior),
    "NO_MATCH": TWO_PEOPLE,
    "POSSIBLE": (contact_conflict, lent_address, *ONE_PERSON, namesake, senior_junior, colleague),
}
BY_NOTES = {
    "DUPLICATE": (note_maiden, note_employer, note_own_contact),
    "NO_MATCH": (note_acquaintance, note_namesake),
    "POSSIBLE": (note_shared, note_others_contact, note_maiden),
}
# Lists hold neither notes nor employers, so that fewer cases make sense there.
ONE_IN_LIST = (contact_same, contact_same, contact_nickname, contact_script, contact_moved, contact_married)
TWO_IN_LIST = (relative, namesake, similar_name, similar_name, colleague, stranger)
