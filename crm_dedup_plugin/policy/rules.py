"""The policy of the three decisions, as data/README.md writes it down for people: evidence in, decision out.

A wrong merge cannot be undone and costs far more than a review: only evidence that stands by itself makes a
DUPLICATE, only evidence of two entities a NO_MATCH, everything else is POSSIBLE.
"""

from __future__ import annotations

from crm_dedup_plugin.policy.evidence import AGREE, FOUND, ONLY_A, ONLY_B, Evidence, shared_domain
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME, UNCLEAR

DUPLICATE, POSSIBLE, NO_MATCH = "DUPLICATE", "POSSIBLE", "NO_MATCH"
_MISSING = frozenset((None, ONLY_A, ONLY_B))
_COMPATIBLE = frozenset((SAME, CLOSE, FOUND))


_TELLING = ("company", "email", "mobile", "phone", "street", "city", "website")


def decide(evidence: Evidence) -> str:
    """Return the decision that the records themselves carry, whatever the truth behind them."""
    return _person(evidence) if evidence.is_person else _account(evidence)


def _person(evidence: Evidence) -> str:
    get = evidence.get
    identifiers = _identifiers(evidence)
    contradicted = any(get(concept) == DIFFERS for concept in ("birth", "tax", "suffix"))
    first, last = _names(evidence)
    if first == DIFFERS:
        return POSSIBLE if identifiers - {"birth"} and not contradicted else NO_MATCH
    if contradicted:
        return POSSIBLE if identifiers else NO_MATCH
    if last == DIFFERS:
        if first in _COMPATIBLE and identifiers - {"birth"}:
            return DUPLICATE
        return POSSIBLE if identifiers or get("street") == SAME else NO_MATCH
    if "namesake" in evidence.flags and not identifiers:
        return NO_MATCH if any(get(concept) == DIFFERS for concept in _TELLING) else POSSIBLE
    if first in _COMPATIBLE and last in _COMPATIBLE:
        if identifiers - {"birth"} or (identifiers and "initial" not in evidence.flags):
            return DUPLICATE
        if len(_circumstances(evidence)) >= 2 and "initial" not in evidence.flags:
            return DUPLICATE
        return NO_MATCH if _only_the_name(evidence) else POSSIBLE
    # A name is missing on one side, or stands there in a script that cannot be compared.
    unclear = UNCLEAR in (first, last)
    return DUPLICATE if len(identifiers) >= (1 if unclear else 2) else POSSIBLE


def _names(evidence: Evidence) -> tuple[str | None, str | None]:
    """Return the relations of given and family name; a full name stands for both."""
    whole = evidence.get("name")
    if whole in _MISSING:
        return tuple(None if evidence.get(part) in _MISSING else evidence.get(part) for part in ("first", "last"))
    return SAME if "same_first" in evidence.flags else whole, whole


def _identifiers(evidence: Evidence) -> set[str]:
    """Return what agrees and belongs to one person alone."""
    agreeing = {concept for concept in ("email", "mobile", "tax", "birth") if evidence.get(concept) in AGREE}
    shared = {"email": {"role_inbox", "shared_email"}, "mobile": {"shared_mobile"}}
    return {concept for concept in agreeing if not shared.get(concept, set()) & evidence.flags}


def _circumstances(evidence: Evidence) -> set[str]:
    """Return what agrees and can be shared: employer, job, home. Several details of one employer are one."""
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
    """Tell whether nothing but the name agrees, and three other things are known to differ."""
    others = [evidence.get(concept) for concept in ("company", "email", "mobile", "phone", "street", "postcode", "city", "website", "role")]
    return others.count(DIFFERS) >= 3 and not _COMPATIBLE & set(others)


def _account(evidence: Evidence) -> str:
    get = evidence.get
    agreeing = {concept for concept in ("phone", "street") if get(concept) in AGREE}
    if get("website") in AGREE or shared_domain(evidence):
        agreeing.add("web")
    elsewhere = get("street") == DIFFERS or (get("city") == DIFFERS and "moved" not in evidence.flags)
    if get("company") in _MISSING:
        return POSSIBLE
    if "related" in evidence.flags:
        return POSSIBLE if get("tax") == SAME else NO_MATCH
    if get("company") == FOUND and get("tax") != DIFFERS:
        return DUPLICATE if agreeing or get("tax") == SAME else POSSIBLE
    if get("company") == DIFFERS:
        return _other_name(evidence, agreeing)
    if get("tax") == DIFFERS:
        exact = get("company") == SAME and not evidence.flags & {"legal", "part"}
        return POSSIBLE if exact and len(agreeing) >= 2 and not elsewhere else NO_MATCH
    if "head_office" in evidence.flags:
        return NO_MATCH
    if elsewhere:
        return _elsewhere(evidence, agreeing)
    if get("tax") == SAME:
        return DUPLICATE
    if evidence.flags & {"legal", "part"} or get("company") == UNCLEAR:
        return POSSIBLE if agreeing or not _differing(evidence) else NO_MATCH
    if len(agreeing) >= 2 or (agreeing and SAME in (get("city"), get("postcode"))):
        return DUPLICATE
    return NO_MATCH if not agreeing and len(_differing(evidence)) >= 2 else POSSIBLE


def _other_name(evidence: Evidence, agreeing: set[str]) -> str:
    """Two names: a company that has changed its name, or two that share a house."""
    if evidence.get("tax") == SAME:
        return DUPLICATE if agreeing else POSSIBLE
    if evidence.get("tax") != DIFFERS and "phone" in agreeing and len(agreeing) >= 2:
        return POSSIBLE
    return NO_MATCH


def _elsewhere(evidence: Evidence, agreeing: set[str]) -> str:
    """One name at two addresses: a branch, or the same company after it moved."""
    if "phone" in agreeing:
        return DUPLICATE if evidence.get("tax") == SAME else POSSIBLE
    if evidence.get("phone") == DIFFERS:
        return NO_MATCH
    if evidence.get("tax") == SAME or agreeing:
        return POSSIBLE
    return NO_MATCH if len(_differing(evidence)) >= 2 else POSSIBLE


def _differing(evidence: Evidence) -> list[str]:
    return [concept for concept in ("street", "city", "phone", "website", "email") if evidence.get(concept) == DIFFERS]
