"""How a list that is no CRM writes an entity down: few columns, old values, chance agreement, and much damage."""

from __future__ import annotations

import random
from collections.abc import Sequence

from crm_dedup_plugin.dataset.synth import damage, render
from crm_dedup_plugin.dataset.synth.scene import Scene
from crm_dedup_plugin.dataset.synth.world import World

Written = tuple[Scene, dict[str, str], dict[str, str]]

_KEPT = ("name", "first", "last", "company", "line")
# Names of the fields of one kind of list; the first key of each concept that a list draws is used for both records.
_COLUMNS = {
    "first": ("first_name", "given_name", "forename", "First"), "last": ("surname", "last_name", "family_name", "Last"),
    "name": ("full_name", "name", "Name", "person"), "birth": ("dob", "date_of_birth", "birth_date", "born"),
    "city": ("city", "town", "suburb", "place", "City"), "postcode": ("postcode", "zip", "Zip", "postal_code"),
    "email": ("email", "mail"), "role": ("occupation", "profession"), "gender": ("gender", "sex"), "state": ("state", "region"),
    "street": ("address", "street", "Address", "address_1"), "country": ("country", "Country", "country_code"),
    "company": ("name", "site", "organisation", "facility", "company", "Business name"), "phone": ("phone", "Phone", "telephone"),
    "website": ("website", "url"), "trade": ("industry", "sector", "programme"),
    "kind": ("type", "category", "kind"), "line": ("text", "entry", "listing", "line"),
}  # fmt: skip
_ADDRESS = ("street", "city", "postcode")
_SHARED = (*_ADDRESS, "phone", "email", "website", "birth", "role", "trade")  # what two entities can have in common
_FORMER = (_ADDRESS, ("phone",), ("email",), ("website",), ("role",))  # what goes out of date, together
_MISTAKEN = ("birth", "first")  # what somebody got wrong altogether, or a name gone by: rarer


def write(scene: Scene, shown: Sequence[str], world: World, missing: float = 0.0, level: int = 1) -> Written:
    """Return the scene with both records, worn by `level`; a field but the name is left out with chance `missing`."""
    rng = world.rng
    for values, cluster in zip((scene.left, scene.right), scene.clusters, strict=True):
        values["gender"] = ("male", "female")[sum(map(ord, cluster)) % 2]
    if scene.same:
        _aged(scene, shown, world)
    else:
        _found_together(scene, shown, world)
    columns = {concept: rng.choice(_COLUMNS["street" if concept == "place" else concept]) for concept in shown}
    plain, latin = rng.random() < 0.5, rng.random() < 0.6
    records = []
    for side, values in enumerate((scene.left, scene.right)):
        habits = render.Habits(rng, {}, latin != (scene.scripts and side == 1), plain)
        if rng.random() >= 0.15:
            habits.date = "{y:04d}-{m:02d}-{d:02d}"
        texts = {concept: _show(concept, values, habits, rng) for concept in shown}
        kept = {concept: text for concept, text in texts.items() if text and (concept in _KEPT or rng.random() >= missing)}
        worn = damage.wear(kept, rng, level)
        records.append({columns[concept]: text for concept, text in worn.items()})
    return scene, records[0], records[1]


def _show(concept: str, values: dict, habits: render.Habits, rng: random.Random) -> str:
    """Return a value as a list holds it, "" where this entity has none."""

    def text(key: str) -> str:
        return render.text(key, values[key], habits) if values.get(key) else ""

    if concept == "name":
        first, last, suffix = text("first"), text("last"), values.get("suffix", "")
        middle = f" {'ABCDEFGHJKLMNPRSTW'[sum(map(ord, first + last)) % 18]}." if rng.random() < 0.15 else ""
        return f"{last}, {first}" if habits.last_first and rng.random() < 0.5 else f"{first}{middle} {last} {suffix}".strip()
    if concept in ("place", "line"):
        parts = [text("street"), text("postcode"), text("city")] if rng.random() < 0.5 else [text("street"), text("city"), text("postcode")]
        parts = [part for part in parts if part and rng.random() < 0.85]
        parts += [text("country")] if rng.random() < 0.3 else []
        front = [text("company")] if concept == "line" else []
        return rng.choice((", ", ", ", " ")).join([*front, *parts])
    if concept == "gender":
        return values["gender"]
    if concept == "state":
        return str(values["country"])[:3].lower() if habits.short else str(values["country"])
    if concept == "kind":
        return "Person" if "first" in values else "Company"
    return text(concept)


def add_given_names(scene: Scene, world: World) -> None:
    """Give people a second given name, the same to one person, which not every entry has."""
    for number, values in enumerate((scene.left, scene.right)):
        if number == 0 or not scene.same:
            second = world.pool.family()[1][0]
        if world.rng.random() < 0.7:
            values["first"] = tuple(f"{first} {more}" for first, more in zip(values["first"], second, strict=True))


def _aged(scene: Scene, shown: Sequence[str], world: World) -> None:
    """Let values disagree that one entity had at two times, or that one source has wrong: any of them, names of companies apart."""
    rng, chance = world.rng, world.rng.choice((0.0, 0.1, 0.25))
    other = [key for unit in _FORMER if rng.random() < chance for key in unit] + [key for key in _MISTAKEN if rng.random() < chance / 3]
    if {*shown, *_held(shown)}.isdisjoint(other):
        return
    former = (world.person() if "first" in scene.left else world.company()).values
    if "birth" in former:
        former["birth"] = (scene.left["birth"][0] + rng.randint(-30, 30), *former["birth"][1:])
    scene.right |= {key: former[key] for key in other if key in former and key in scene.right}


def _found_together(scene: Scene, shown: Sequence[str], world: World) -> None:
    """Let two entities agree in what they were found by: a postcode, a switchboard, a birthday; and in more by chance."""
    rng, chance = world.rng, world.rng.choice((0.0, 0.1, 0.3))
    held = [key for key in _held(shown) if key in scene.left and key in scene.right]
    found_by = rng.choice(held) if held and rng.random() < 0.5 else None
    scene.right |= {key: scene.left[key] for key in held if key == found_by or rng.random() < chance}


def _held(shown: Sequence[str]) -> list[str]:
    """Return the concepts of `_SHARED` that a list with these columns holds."""
    whole = {"place", "line"}.intersection(shown)
    return [key for key in _SHARED if key in shown or (whole and key in _ADDRESS)]
