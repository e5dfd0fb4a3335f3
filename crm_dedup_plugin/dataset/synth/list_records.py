"""From a case to two records of a list that is no CRM: few columns, old values, agreement by chance, many mistakes."""

from collections.abc import Sequence

from crm_dedup_plugin.dataset import VOCABULARY
from crm_dedup_plugin.dataset.synth import formats, mistakes
from crm_dedup_plugin.dataset.synth.world import Case, World
from crm_dedup_plugin.policy.vocabulary import load

Records = tuple[Case, dict[str, str], dict[str, str]]

COLUMNS = load("list_columns", {str: [str]}, VOCABULARY)
NEVER_MISSING = ("name", "first", "last", "company", "line")
_ADDRESS = ("street", "city", "postcode")
_SHARED = (*_ADDRESS, "phone", "email", "website", "birth", "role", "trade")  # what two entities can have in common
_OUTDATED = (_ADDRESS, ("phone",), ("email",), ("website",), ("role",))  # what goes out of date, together
_MISTAKEN = ("birth", "first")  # what a source can have wrong altogether; rarer


def write(case: Case, shown: Sequence[str], world: World, missing: float = 0.0, level: int = 1) -> Records:
    """Return the case with both records, with mistakes of `level` 0 to 3; each field but the name is `missing` with this chance."""
    rng = world.rng
    for values, cluster in zip((case.left, case.right), case.clusters, strict=True):
        values["gender"] = gender(cluster)
    if case.same:
        case.right |= outdated(case.right, shown, world, rng.choice((0.0, 0.1, 0.25)))
    else:
        _share_by_chance(case, shown, world)
    columns = {concept: rng.choice(COLUMNS["street" if concept == "place" else concept]) for concept in shown}
    plain, latin = rng.random() < 0.5, rng.random() < 0.6
    records = []
    for side, values in enumerate((case.left, case.right)):
        habits = formats.Habits(rng, {}, latin != (case.scripts and side == 1), plain)
        if rng.random() >= 0.15:
            habits.date = "{y:04d}-{m:02d}-{d:02d}"
        texts = {concept: text(concept, values, habits) for concept in shown}
        kept = {concept: text for concept, text in texts.items() if text and (concept in NEVER_MISSING or rng.random() >= missing)}
        records.append({columns[concept]: text for concept, text in mistakes.in_list_record(kept, rng, level).items()})
    return case, records[0], records[1]


def add_given_names(case: Case, world: World) -> None:
    """Give people a second given name, one to each person, which not every entry shows."""
    for number, values in enumerate((case.left, case.right)):
        if number == 0 or not case.same:
            second = world.country.family()[1][0]
        if world.rng.random() < 0.7:
            values["first"] = tuple(f"{first} {more}" for first, more in zip(values["first"], second, strict=True))


def gender(cluster: str) -> str:
    """Return what a list says of the gender of the person with this id."""
    return ("male", "female")[sum(map(ord, cluster)) % 2]


def text(concept: str, values: dict, habits: formats.Habits) -> str:
    """Return a value as a list shows it, "" where this entity has none."""
    rng = habits.rng

    def shown(key: str) -> str:
        return formats.text(key, values[key], habits) if values.get(key) else ""

    if concept == "name":
        first, last, suffix = shown("first"), shown("last"), values.get("suffix", "")
        middle = f" {'ABCDEFGHJKLMNPRSTW'[sum(map(ord, first + last)) % 18]}." if rng.random() < 0.15 else ""
        return f"{last}, {first}" if habits.last_first and rng.random() < 0.5 else f"{first}{middle} {last} {suffix}".strip()
    if concept in ("place", "line"):
        order = ("street", "postcode", "city") if rng.random() < 0.5 else ("street", "city", "postcode")
        parts = [part for part in map(shown, order) if part and rng.random() < 0.85]
        parts += [shown("country")] if rng.random() < 0.3 else []
        front = [shown("company")] if concept == "line" else []
        return rng.choice((", ", ", ", " ")).join([*front, *parts])
    if concept == "state":
        return values["country"][:3].lower() if habits.short_streets else values["country"]
    if concept == "kind":
        return "Person" if "first" in values else "Company"
    return values["gender"] if concept == "gender" else shown(concept)


def outdated(values: dict, shown: Sequence[str], world: World, chance: float) -> dict[str, object]:
    """Return what an older source says of an entity with these values, or a wrong one: each thing with this chance, nothing if no column shows it."""
    rng = world.rng
    other = [key for unit in _OUTDATED if rng.random() < chance for key in unit] + [key for key in _MISTAKEN if rng.random() < chance / 3]
    if {*shown, *_shareable(shown)}.isdisjoint(other):
        return {}
    former = (world.person() if "first" in values else world.company()).values
    if "birth" in former:
        former["birth"] = (values["birth"][0] + rng.randint(-30, 30), *former["birth"][1:])
    return {key: former[key] for key in other if key in former and key in values}


def _share_by_chance(case: Case, shown: Sequence[str], world: World) -> None:
    """Let two entities agree in what made them a candidate pair (a postcode, a telephone, a birthday), and in more by chance."""
    rng, chance = world.rng, world.rng.choice((0.0, 0.1, 0.3))
    held = [key for key in _shareable(shown) if key in case.left and key in case.right]
    found_by = rng.choice(held) if held and rng.random() < 0.5 else None
    case.right |= {key: case.left[key] for key in held if key == found_by or rng.random() < chance}


def _shareable(shown: Sequence[str]) -> list[str]:
    """Return the concepts that two entities can have in common and a list with these columns shows."""
    address_shown = not {"place", "line"}.isdisjoint(shown)
    return [key for key in _SHARED if key in shown or (address_shown and key in _ADDRESS)]
