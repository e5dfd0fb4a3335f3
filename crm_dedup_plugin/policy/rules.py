"""The policy: evidence in, decision out. data/README.md explains the same rules to people, with examples.

A wrong merge cannot be undone and costs far more than a review. So DUPLICATE needs evidence that stands by itself,
NO_MATCH needs evidence of two entities, and everything else is POSSIBLE.
"""

from crm_dedup_plugin.policy.evidence import AGREE, FOUND, ONLY_A, ONLY_B, Evidence, shared_domain
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME, UNCLEAR

DUPLICATE, POSSIBLE, NO_MATCH = "DUPLICATE", "POSSIBLE", "NO_MATCH"
_MISSING = frozenset((None, ONLY_A, ONLY_B))
_COMPATIBLE = frozenset((SAME, CLOSE, FOUND))
_SHARED = {"email": {"role_inbox", "shared_email"}, "mobile": {"shared_mobile"}}  # flags by which it is not one person's alone


def decide(evidence: Evidence) -> str:
    """Return the decision that the records alone support, whatever the truth behind them."""
    return _person(evidence) if evidence.is_person else _company(evidence)


# -- people ---------------------------------------------------------------------------------------------------------------


def _person(evidence: Evidence) -> str:
    first, last = _names(evidence)
    identifiers = _identifiers(evidence)
    strong = identifiers - {"birth"}  # many people share a birthday
    contradicted = _differing(evidence, "birth", "tax", "suffix")
    if first == DIFFERS:  # families, colleagues, twins
        return POSSIBLE if strong and not contradicted else NO_MATCH
    if contradicted:  # namesakes, father and son
        return POSSIBLE if identifiers else NO_MATCH
    if last == DIFFERS:  # people marry
        if first in _COMPATIBLE and strong:
            return DUPLICATE
        return POSSIBLE if identifiers or evidence.get("street") == SAME else NO_MATCH
    if "namesake" in evidence.flags and not identifiers:
        return NO_MATCH if _differing(evidence, "company", "email", "mobile", "phone", "street", "city", "website") else POSSIBLE
    if first in _COMPATIBLE and last in _COMPATIBLE:
        full_name = "initial" not in evidence.flags
        if strong or (full_name and (identifiers or len(_circumstances(evidence)) >= 2)):
            return DUPLICATE
        return NO_MATCH if _only_the_name(evidence) else POSSIBLE
    # A name is missing in one record, or is in a script that cannot be compared.
    enough = 1 if UNCLEAR in (first, last) else 2
    return DUPLICATE if len(identifiers) >= enough else POSSIBLE


def _names(evidence: Evidence) -> tuple[str | None, str | None]:
    """Return the relations of first and last name, None where missing; a full name stands for both."""
    whole = evidence.get("name")
    if whole in _MISSING:
        first, last = (evidence.get(part) for part in ("first", "last"))
        return None if first in _MISSING else first, None if last in _MISSING else last
    return SAME if "same_first" in evidence.flags else whole, whole


def _identifiers(evidence: Evidence) -> set[str]:
    """Return what agrees and belongs to one person alone."""
    agreeing = {concept for concept in ("email", "mobile", "tax", "birth") if evidence.get(concept) in AGREE}
    return {concept for concept in agreeing if not _SHARED.get(concept, set()) & evidence.flags}


def _circumstances(evidence: Evidence) -> set[str]:
    """Return what agrees but can be shared: employer, home, job. Several details of one employer count once."""
    get, found = evidence.get, set()
    if get("company") in _COMPATIBLE or get("website") == SAME or shared_domain(evidence):
        found.add("employer")
    if get("street") in _COMPATIBLE and (get("city") != DIFFERS or "moved" in evidence.flags):
        found.add("employer" if "employer" in found else "home")
    if get("phone") == SAME:
        found.add("employer" if "employer" in found else "phone")
    if get("role") == SAME:
        found.add("job")
    if FOUND in (get("last"), get("name")) and found - {"job"}:
        found.add("maiden name")
    return found


def _only_the_name(evidence: Evidence) -> bool:
    """Tell whether nothing but the name agrees, and at least three other details differ."""
    others = [evidence.get(concept) for concept in ("company", "email", "mobile", "phone", "street", "postcode", "city", "website", "role")]
    return others.count(DIFFERS) >= 3 and not _COMPATIBLE & set(others)


# -- companies ------------------------------------------------------------------------------------------------------------


def _company(evidence: Evidence) -> str:
    name, tax, flags = evidence.get("company"), evidence.get("tax"), evidence.flags
    contacts = _contacts(evidence)
    other_site = evidence.get("street") == DIFFERS or (evidence.get("city") == DIFFERS and "moved" not in flags)
    if name in _MISSING:
        return POSSIBLE
    if "related" in flags:  # a subsidiary or a customer
        return POSSIBLE if tax == SAME else NO_MATCH
    if name == FOUND and tax != DIFFERS:  # renamed, as the notes say
        return DUPLICATE if contacts or tax == SAME else POSSIBLE
    if name == DIFFERS:
        return _other_name(evidence, contacts)
    if tax == DIFFERS:
        exact = name == SAME and not flags & {"legal", "part"}
        return POSSIBLE if exact and len(contacts) >= 2 and not other_site else NO_MATCH
    if "head_office" in flags:  # a branch, as the notes say
        return NO_MATCH
    if other_site:
        return _other_site(evidence, contacts)
    if tax == SAME:
        return DUPLICATE
    if flags & {"legal", "part"} or name == UNCLEAR:
        return POSSIBLE if contacts or not _differing(evidence, *_DETAILS) else NO_MATCH
    if len(contacts) >= 2 or (contacts and SAME in (evidence.get("city"), evidence.get("postcode"))):
        return DUPLICATE
    return NO_MATCH if not contacts and len(_differing(evidence, *_DETAILS)) >= 2 else POSSIBLE


def _contacts(evidence: Evidence) -> set[str]:
    """Return which of phone, street and web domain agree."""
    agreeing = {concept for concept in ("phone", "street") if evidence.get(concept) in AGREE}
    return agreeing | ({"web"} if evidence.get("website") in AGREE or shared_domain(evidence) else set())


def _other_name(evidence: Evidence, contacts: set[str]) -> str:
    """Decide on two names: a company that was renamed, or two at one address."""
    if evidence.get("tax") == SAME:
        return DUPLICATE if contacts else POSSIBLE
    return POSSIBLE if evidence.get("tax") != DIFFERS and "phone" in contacts and len(contacts) >= 2 else NO_MATCH


def _other_site(evidence: Evidence, contacts: set[str]) -> str:
    """Decide on one name at two addresses: a branch, or a company that moved."""
    if "phone" in contacts:
        return DUPLICATE if evidence.get("tax") == SAME else POSSIBLE
    if evidence.get("phone") == DIFFERS:
        return NO_MATCH
    return POSSIBLE if evidence.get("tax") == SAME or contacts or len(_differing(evidence, *_DETAILS)) < 2 else NO_MATCH


_DETAILS = ("street", "city", "phone", "website", "email")


def _differing(evidence: Evidence, *concepts: str) -> list[str]:
    return [concept for concept in concepts if evidence.get(concept) == DIFFERS]
