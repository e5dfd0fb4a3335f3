"""The slices of companies: the ways in which two records come to be one company, or only to look so.

Each function takes a world and returns a `Scene`; `note_*` are decided by what the notes of one record say.
"""

from __future__ import annotations

from crm_dedup_plugin.dataset.synth.scene import HOME, Scene, one, two
from crm_dedup_plugin.dataset.synth.world import World

_TAX = frozenset(("tax",))


# -- one company --------------------------------------------------------------------------------------------------


def account_same(world: World) -> Scene:
    """A company entered twice, with the usual slips."""
    return one(world.pick("company"), damage={"company": "typo"})


def account_legal_form(world: World) -> Scene:
    """A company with its legal form written otherwise, or left out."""
    company = world.pick("company")
    legal = company.values["legal"]
    other = world.rng.choice((*legal[1:], "")) or ""
    native, latin = company.values["company"]
    return one(company, {**company.values, "company": tuple(_swap_end(name, legal[0], other) for name in (native, latin))})


def account_abbreviated(world: World) -> Scene:
    """A company under its initials, or without its trade."""
    company = world.pick("company")
    native, latin = company.values["company"]
    words = [word for word in latin.split() if word[0].isalpha()]
    short = "".join(word[0] for word in words[:-1]).upper() if len(words) >= 4 and world.rng.random() < 0.5 else " ".join(words[:1])
    return one(company, {**company.values, "company": (short if world.pool.latin else native.split()[0], short)})


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
    return one(company, values)


def account_moved(world: World) -> Scene:
    """A company at its old and at its new address."""
    company = world.pick("company")
    return one(company, {**company.values, **world.pool.address(world.rng)})


def account_script(world: World) -> Scene:
    """A company in the native script and in Latin letters."""
    return one(world.pick("company"), damage={"company": "spelled"}, scripts=True)


def account_conflict(world: World) -> Scene:
    """A company whose tax number is wrong in one record."""
    company = world.pick("company")
    return one(company, {**company.values, "tax": world.pool.tax()})


# -- two companies ------------------------------------------------------------------------------------------------


def branch(world: World) -> Scene:
    """Two sites of one company, each with its own address and mostly its own telephone."""
    company = world.pick("company")
    keep = {key: company.values[key] for key in ("brand", "trade", "legal", "company", "domain", "website", "email", "tax")}
    site = world.company(**keep)
    if world.rng.random() < 0.15:
        site.values["phone"] = company.values["phone"]
    return two(company, site)


def subsidiary(world: World) -> Scene:
    """A company and its subsidiary: another trade or legal form, its own tax number, much else shared."""
    company, rng = world.pick("company"), world.rng
    shared = [key for key in ("domain", "phone") if rng.random() < 0.6]
    keep = {key: company.values[key] for key in ("brand", *shared)}
    if rng.random() < 0.7:
        keep |= {key: company.values[key] for key in HOME}
    if "domain" in keep:
        keep["website"] = company.values["website"]
    if rng.random() < 0.3:
        keep["trade"] = company.values["trade"]
        keep["legal"] = next((form for form in world.pool.legal if form != company.values["legal"]), company.values["legal"])
    else:
        keep["trade"] = rng.choice(("Holding", *world.pool.trades))
    return two(company, world.company(**keep))


def franchise(world: World) -> Scene:
    """Two independent shops under one brand and web site."""
    company = world.pick("company")
    keep = {key: company.values[key] for key in ("brand", "trade", "website")}
    return two(company, world.company(**keep))


def office_tower(world: World) -> Scene:
    """Two tenants of one house, some behind one switchboard."""
    company = world.pick("company")
    keys = (*HOME, "phone") if world.rng.random() < 0.3 else HOME
    return two(company, world.company(**{key: company.values[key] for key in keys}))


def similar_account(world: World) -> Scene:
    """Two companies that share a word of their names, and perhaps a city."""
    company = world.pick("company")
    keep = {world.rng.choice(("brand", "trade")): None} if world.rng.random() < 0.2 else {"brand": company.values["brand"]}
    keep = {key: company.values[key] for key in keep}
    if world.rng.random() < 0.5:
        keep |= {"city": company.values["city"]}
    return two(company, world.company(**keep))


def other_account(world: World) -> Scene:
    """Two companies with nothing in common."""
    return two(world.pick("company"), world.company())


# -- what only the notes tell ------------------------------------------------------------------------------------------


def note_renamed(world: World) -> Scene:
    """A company under its new name, with the old one in the notes."""
    scene = account_rebranded(world)
    scene.note, scene.hidden = ("renamed", "company"), _TAX
    return scene


def note_related(world: World) -> Scene:
    """Two companies, the notes of one naming the other as a parent, a customer or a landlord."""
    company = world.pick("company")
    keys = (*HOME, *world.rng.choice(((), ("phone",), ("website", "domain"), ("phone", "website", "domain"))))
    scene = two(company, world.company(**{key: company.values[key] for key in keys}))
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
