"""The reasoning of an answer: written from evidence, read back as claims, and checked against the records.

>>> claims("Same e-mail; first name is close, mobile only in A.")
[('email', 'same'), ('first', 'close'), ('mobile', 'only_a')]
"""

import random
import re

from crm_dedup_plugin.pair.answer import MAX_REASONING_CHARS
from crm_dedup_plugin.policy.evidence import FOUND, ONLY_A, ONLY_B, Evidence, compare
from crm_dedup_plugin.policy.fields import CONCEPTS
from crm_dedup_plugin.policy.rules import DUPLICATE, NO_MATCH, POSSIBLE, decide
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME, UNCLEAR
from crm_dedup_plugin.policy.vocabulary import load

ALIKE = "alike"  # the same or close: a small model reads tokens, not letters, and cannot tell the two apart in words
CODES = ("email", "mobile", "birth", "tax", "phone", "website")  # the same or not, in any format; other fields hold words
_IDENTIFIERS = ("email", "mobile", "birth", "tax")
_NAMES = ("first", "last", "name", "company")
_UNSAID = ("salutation", "notes", "country")
_MOST_CLAIMS, _FEW_CLAIMS = 8, 2
_LENGTHS = (35, 80)  # the shortest and the longest length to aim at, in characters
_AGREEING, _MISSING = (SAME, CLOSE, FOUND), (ONLY_A, ONLY_B)

_RELATIONS = (FOUND, UNCLEAR, ONLY_A, ONLY_B, DIFFERS, ALIKE, CLOSE, SAME)
_FLAGS = ("shared_email", "shared_mobile", "namesake", "related", "head_office")
_WORDS = load(
    "reasoning",
    {
        "written": {relation: [str] for relation in _RELATIONS},
        "told": dict.fromkeys(_FLAGS, str),
        "relations": dict.fromkeys(_RELATIONS, re.Pattern),
        "fields": dict.fromkeys(CONCEPTS, re.Pattern),
        "verdicts": [dict.fromkeys((f"{DUPLICATE}?", f"{POSSIBLE}?", f"{NO_MATCH}?"), re.Pattern)],
    },
)
_WRITTEN, _TOLD, _RELATION_PATTERNS = _WORDS["written"], _WORDS["told"], _WORDS["relations"]
_FIELD_PATTERN = re.compile("|".join(rf"\b(?P<{concept}>{pattern.pattern})\b" for concept, pattern in _WORDS["fields"].items()))
_BETWEEN = re.compile(r"[,;.!?]|\bbut\b|\bwhile\b", re.IGNORECASE)  # clauses
_VERDICTS = [item for entry in _WORDS["verdicts"] for item in entry.items()]


def write(evidence: Evidence, decision: str, rng: random.Random) -> str:
    """Return a sentence that names the deciding fields and how they compare, in the order of `CONCEPTS`.

    Wording and length are random, so that neither gives the decision away.
    """
    relations = _sayable(evidence)
    told = _told(evidence)
    aim, notes, length = rng.randint(*_LENGTHS), {}, sum(map(len, told))
    for concept in sorted(relations, key=lambda concept: _rank(relations[concept], concept, decision)):
        ways = _WRITTEN[relations[concept]]
        note = ways[int(rng.random() * len(ways))].format(CONCEPTS[concept])
        longer = length + len(note) + len(", ")
        if notes and longer - aim > aim - length:
            break
        notes[concept], length = note, longer
    return _sentence((", " if rng.random() < 0.7 else "; ").join([*(notes[concept] for concept in relations if concept in notes), *told]))


def write_briefly(evidence: Evidence, decision: str) -> str:
    """Return a sentence with the two fields that say most for `decision`, and what the notes tell, always in the same words.

    Among fields that say equally much, those that agree or differ outright come first: claims that are hard to get wrong.
    POSSIBLE is explained by one field that speaks for a duplicate and one against, where there are such.
    """
    relations = _sayable(evidence)
    ranked = sorted(relations, key=lambda concept: (_rank(relations[concept], concept, decision), relations[concept] not in (SAME, DIFFERS)))
    if decision == POSSIBLE:
        ranked.sort(key=lambda concept: concept not in _IDENTIFIERS)
        agreeing, differing, missing = ([concept for concept in ranked if relations[concept] in kinds] for kinds in (_AGREEING, (DIFFERS,), _MISSING))
        ranked = [*agreeing[:1], *(differing or missing)[:1], *ranked]
    few = list(dict.fromkeys(ranked))[:_FEW_CLAIMS]
    said = {concept: ALIKE if concept not in CODES and kind in (SAME, CLOSE) else kind for concept, kind in relations.items() if concept in few}
    return _sentence(", ".join([*_plainly(said), *_told(evidence)]))


def write_plainly(evidence: Evidence) -> str:
    """Return a sentence about all fields that can be compared, always in the same words."""
    said = {concept: kind for concept, kind in _sayable(evidence).items() if kind not in _MISSING or concept in _IDENTIFIERS}
    return _sentence(", ".join(_plainly(said)[:_MOST_CLAIMS]))


def _sayable(evidence: Evidence) -> dict[str, str]:
    return {concept: kind for concept, kind in evidence.relations.items() if concept not in _UNSAID}


def _plainly(relations: dict[str, str]) -> list[str]:
    return [_WRITTEN[kind][0].format(CONCEPTS[concept]) for concept, kind in relations.items()]


def _told(evidence: Evidence) -> list[str]:
    """Return what the notes tell; that a mailbox or number is shared is worth a word only where it agrees."""
    shared = {"shared_email": "email", "shared_mobile": "mobile"}
    matters = {flag for flag in evidence.flags if flag not in shared or evidence.get(shared[flag]) in (SAME, FOUND)}
    return [text for flag, text in _TOLD.items() if flag in matters]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _rank(said: str, concept: str, decision: str) -> int:
    """Return how far a field is from deciding: 0 decides."""
    agrees, differs, missing = said in (*_AGREEING, UNCLEAR), said == DIFFERS, said in _MISSING
    is_name, identifies = concept in _NAMES, concept in _IDENTIFIERS
    steps = {
        DUPLICATE: (agrees and identifies, is_name and not missing, agrees, differs),
        NO_MATCH: (differs and (is_name or identifies), is_name and not missing, differs, agrees),
        POSSIBLE: (is_name, identifies and not missing, differs or agrees),
    }[decision]
    return next((rank for rank, reached in enumerate(steps) if reached), len(steps))


def claims(text: str) -> list[tuple[str, str]]:
    """Return what a reasoning says of fields: (concept, relation) pairs, in its order.

    A clause ends at a comma, a semicolon, a full stop, "but" or "while"; fields joined by "and" share the relation of their clause.
    """
    found = []
    for clause in _BETWEEN.split(text.casefold()):
        if told := next((flag for flag, phrase in _TOLD.items() if phrase in clause), None):
            found.append(("notes", told))
        elif said := next((relation for relation, pattern in _RELATION_PATTERNS.items() if pattern.search(clause)), None):
            found += [(match.lastgroup, said) for match in _FIELD_PATTERN.finditer(clause)]
    return found


def is_grounded(text: str, record_a: dict[str, str], record_b: dict[str, str]) -> bool:
    """Tell whether a reasoning claims something, and every claim about a field is true of the two records."""
    evidence, made = compare(record_a, record_b), claims(text)
    return bool(made) and all(_holds(evidence, concept, said) for concept, said in made)


def corrected(text: str, record_a: dict[str, str], record_b: dict[str, str]) -> str:
    """Return a reasoning whose every claim about a field is true of the two records; one that is true already stays as it is.

    A clause that claims what is not true says what is, or is left out. Where nothing is left, all fields that can be compared are named instead.
    """
    evidence = compare(record_a, record_b)
    relations, kept = _sayable(evidence), []
    if not relations or all(_holds(evidence, *claim) for claim in claims(text)):
        return text
    for clause in filter(str.strip, _BETWEEN.split(text)):
        made = claims(clause)
        true = all(_holds(evidence, *claim) for claim in made)
        kept += [clause.strip()] if true else _plainly({concept: relations[concept] for concept, _ in made if concept in relations})
    kept = kept if any(map(claims, kept)) else _plainly(relations)
    while len(made := _sentence(", ".join(kept))) > MAX_REASONING_CHARS:
        kept.pop()
    return made


def contradicts(decision: str, text: str, record_a: dict[str, str], record_b: dict[str, str]) -> bool:
    """Tell whether a reasoning argues for another decision than the one it explains.

    Either it says so ("two people" for a DUPLICATE), or its claims, taken alone, lead to the opposite decision.
    """
    stated = next((verdict for verdict, pattern in _VERDICTS if pattern.search(text.casefold())), None)
    if stated:
        return stated != decision
    made = dict(claims(text))
    if not made or decision == POSSIBLE:
        return False
    said = set(made.values())
    if decision == DUPLICATE:
        return not said & {*_AGREEING, ALIKE} or _decided_by(made, record_a, record_b) == NO_MATCH
    return not said & {DIFFERS, "namesake", "related", "head_office"} or _decided_by(made, record_a, record_b) == DUPLICATE


def _decided_by(made: dict[str, str], record_a: dict[str, str], record_b: dict[str, str]) -> str:
    """Return the decision that would follow if the claims were all that is known."""
    seen = compare(record_a, record_b)
    return decide(Evidence(seen.a, seen.b, {concept: CLOSE if said == ALIKE else said for concept, said in made.items()}, seen.flags))


def _holds(evidence: Evidence, concept: str, said: str) -> bool:
    if said in _TOLD:
        return said in evidence.flags
    if said == ALIKE:
        return any(_holds(evidence, concept, kind) for kind in (SAME, CLOSE))
    true = evidence.get(concept)
    if concept == "name" and true is None:  # "name" may sum up first and last name
        parts = {evidence.get(part) for part in ("first", "last")} - {None}
        return said in parts if said == DIFFERS else bool(parts) and parts <= ({SAME} if said == SAME else {SAME, CLOSE})
    if concept in ("first", "last") and true is None and evidence.get("name") is not None:
        return said == evidence.get("name") or (evidence.get("name") == CLOSE and said in (SAME, CLOSE))
    return said == true
