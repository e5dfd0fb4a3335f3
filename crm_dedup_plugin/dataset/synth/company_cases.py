"""Cases of companies: how two records come to be of one company, or only to look so.

Each function takes a world and returns a `Case`; its name is the `slice` of the row. Only the notes decide `note_*`.
"""

from crm_dedup_plugin.dataset.synth.mistakes import respelled, typo
from crm_dedup_plugin.dataset.synth.world import HOME, Case, World, one, two

_IDENTIFIERS = frozenset(("tax",))


def account_same(world: World) -> Case:
    """A company is entered twice, with the usual typos."""
    return one(world.pick("company"), mistakes={"company": typo})


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


def account_moved(world: World) -> Case:
    """A company has an old and a new address."""
    return one(world.pick("company"), world.country.address(world.rng))


def account_script(world: World) -> Case:
    """A company is entered in the native script and in Latin letters."""
    return one(world.pick("company"), mistakes={"company": respelled}, scripts=True)


def account_conflict(world: World) -> Case:
    """A company has a wrong tax number in one record."""
    return one(world.pick("company"), {"tax": world.country.tax()})


def branch(world: World) -> Case:
    """Two sites of one company, each with its own address and mostly its own telephone."""
    company = world.pick("company")
    site = world.company(**company.take("brand", "trade", "legal", "company", "domain", "website", "email", "tax"))
    if world.rng.random() < 0.15:
        site.values["phone"] = company.values["phone"]
    return two(company, site)


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


def franchise(world: World) -> Case:
    """Two independent shops use one brand and one web site."""
    company = world.pick("company")
    return two(company, world.company(**company.take("brand", "trade", "website")))


def office_tower(world: World) -> Case:
    """Two tenants share a house, some of them a switchboard."""
    company = world.pick("company")
    return two(company, world.company(**company.take(*HOME, *["phone"] * (world.rng.random() < 0.3))))


def similar_account(world: World) -> Case:
    """Two companies share a word of their names, and perhaps a city."""
    company, rng = world.pick("company"), world.rng
    shared = rng.choice(("brand", "trade")) if rng.random() < 0.2 else "brand"
    return two(company, world.company(**company.take(shared, *["city"] * (rng.random() < 0.5))))


def other_account(world: World) -> Case:
    """Two companies have nothing in common."""
    return two(world.pick("company"), world.company())


def note_renamed(world: World) -> Case:
    """A company has a new name, and the old one is in the notes."""
    case = account_rebranded(world)
    case.note, case.hidden = ("renamed", "company"), _IDENTIFIERS
    return case


def note_related(world: World) -> Case:
    """Two companies, and the notes of one name the other as its parent, customer or landlord."""
    company = world.pick("company")
    more = world.rng.choice(((), ("phone",), ("website", "domain"), ("phone", "website", "domain")))
    case = two(company, world.company(**company.take(*HOME, *more)))
    case.note, case.hidden = ("related", "company"), _IDENTIFIERS
    return case


def note_moved(world: World) -> Case:
    """A company has a new address, and the old one is in the notes."""
    case = account_moved(world)
    case.note, case.hidden = ("moved", "street"), _IDENTIFIERS
    if world.rng.random() < 0.5:
        case.right["phone"] = world.country.phone("fixed")
    return case


def note_head_office(world: World) -> Case:
    """A branch, and the address of its head office is in the notes."""
    case = branch(world)
    case.note, case.hidden = ("head_office", "street"), _IDENTIFIERS
    if world.rng.random() < 0.4:
        case.right["phone"] = case.left["phone"]
    return case


def list_subsidiary(world: World) -> Case:
    """A company and its subsidiary of another trade; where the trade is the same, a list shows two spellings of one company."""
    while True:
        case = subsidiary(world)
        if case.left["trade"] != case.right["trade"]:
            return case


# -- the cases that can lead to each decision; one that is named twice is drawn twice as often ------------------------------

ONE_COMPANY = (account_same, account_legal_form, account_abbreviated, account_rebranded, account_moved, account_script)
BY_DECISION = {
    "DUPLICATE": ONE_COMPANY,
    "NO_MATCH": (*2 * (branch, subsidiary, franchise, office_tower, similar_account), other_account),
    "POSSIBLE": (account_conflict, *ONE_COMPANY, branch, subsidiary, office_tower),
}
BY_NOTES = {
    "DUPLICATE": (note_renamed, note_moved),
    "NO_MATCH": (note_related, note_head_office),
    "POSSIBLE": (note_renamed, note_moved, account_conflict),
}
# Two sites of one company are two entities to a CRM and often one to a list, so that lists have no branches.
ONE_IN_LIST = (account_same, account_same, account_legal_form, account_abbreviated, account_script)
TWO_IN_LIST = (similar_account, similar_account, office_tower, list_subsidiary, other_account)
