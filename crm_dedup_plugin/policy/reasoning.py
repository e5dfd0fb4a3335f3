"""The reasoning of an answer: written from evidence, read back into claims, and checked against the records.

>>> claims("Same e-mail; first name is close, mobile only in A.")
[('email', 'same'), ('first', 'close'), ('mobile', 'only_a')]
"""

from __future__ import annotations

import random
import re

from crm_dedup_plugin.policy.evidence import FOUND, ONLY_A, ONLY_B, Evidence, compare
from crm_dedup_plugin.policy.fields import CONCEPTS
from crm_dedup_plugin.policy.rules import decide
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME, UNCLEAR

ALIKE = "alike"  # said of words that are the same or close: which of the two, a small model cannot see through spelling
CODES = ("email", "mobile", "birth", "tax", "phone", "website")  # the same or not, in any format; the values of other fields are words
_IDENTIFIERS = ("email", "mobile", "birth", "tax")
_NAMES = ("first", "last", "name", "company")
_UNSAID = ("salutation", "notes", "country")
_WRITTEN = {  # relation: ways to say it of one field
    SAME: ("{} same", "{} same", "same {}", "{} agrees", "{} matches", "{} identical"),
    CLOSE: ("{} close", "{} close", "similar {}", "{} similar", "{} nearly the same"),
    ALIKE: ("{} alike",),
    DIFFERS: ("{} differs", "{} differs", "different {}", "{} conflicts", "{} not the same"),
    UNCLEAR: ("{} in another script",),
    ONLY_A: ("{} only in A", "{} only in A", "{} missing in B"),
    ONLY_B: ("{} only in B", "{} only in B", "{} missing in A"),
    FOUND: ("{} found in another field",),
}
_TOLD = {  # what the notes of one record say of the other
    "shared_email": "notes tell of a mailbox that several use", "shared_mobile": "notes tell of a number that several use",
    "namesake": "notes tell of a namesake", "related": "notes tell of a related company", "head_office": "notes tell of a head office elsewhere",
}  # fmt: skip
_TELLING = {"shared_email": (SAME, FOUND), "shared_mobile": (SAME, FOUND)}  # worth a word only where these agree
_MOST_CLAIMS, _FEW_CLAIMS = 8, 2
_LENGTHS = (35, 80)  # what a reasoning aims at, in characters: by chance

# How people and models put it; the first pattern that fits a clause says what it claims.
_RELATIONS = (
    (FOUND, r"\bfound in\b"),
    (UNCLEAR, r"\banother script\b|\bother script\b"),
    (ONLY_A, r"\bonly in (?:record )?a\b|\b(?:missing|absent|not given|empty|blank) (?:in|from) (?:record )?b\b|\bonly (?:record )?a has\b"),
    (ONLY_B, r"\bonly in (?:record )?b\b|\b(?:missing|absent|not given|empty|blank) (?:in|from) (?:record )?a\b|\bonly (?:record )?b has\b"),
    (DIFFERS, r"\bdiffer|\bdifferent\b|\bnot (?:the )?same\b|\b(?:does|do) not (?:agree|match)|\bmismatch|\bconflict|\bunequal\b|\bdistinct\b"),
    (ALIKE, r"\balike\b"),
    (CLOSE, r"\bclose\b|\bsimilar\b|\bnearly\b|\balmost\b|\bvariant\b|\btypo\b|\bnickname\b|\bshort form\b|\binitial\b"),
    (SAME, r"\bsame\b|\bagrees?\b|\bidentical\b|\bmatch(?:es|ing)?\b|\bequal\b|\bshared?\b"),
)  # fmt: skip
_RELATION_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _RELATIONS)
_FIELDS = (
    ("first", r"first names?|given names?"), ("last", r"last names?|surnames?|family names?"), ("suffix", r"name suffix(?:es)?|suffix(?:es)?"),
    ("company", r"compan(?:y|ies)(?: names?)?|employers?|account names?"), ("email", r"e-?mails?(?: address(?:es)?)?"),
    ("mobile", r"mobiles?(?: numbers?| phones?)?|cell(?: phones?)?"), ("birth", r"dates? of birth|birth ?dates?|dob|birthdays?"),
    ("tax", r"tax (?:numbers?|ids?)|vat(?: numbers?| ids?)?"), ("website", r"web ?sites?|web domains?|domains?"),
    ("phone", r"(?:tele)?phones?(?: numbers?)?"), ("postcode", r"post ?codes?|postal codes?|zip(?: codes?)?"),
    ("street", r"streets?|(?:street )?address(?:es)?"), ("city", r"cit(?:y|ies)|towns?"), ("country", r"countr(?:y|ies)"),
    ("role", r"job titles?|positions?|roles?"), ("salutation", r"salutations?"), ("notes", r"notes?"), ("name", r"(?:full )?names?"),
)  # fmt: skip
_FIELD_PATTERN = re.compile("|".join(rf"\b(?P<{concept}>{pattern})\b" for concept, pattern in _FIELDS))
_VERDICTS = (
    ("NO_MATCH", re.compile(r"\bnot (?:the )?(?:same|one) (?:person|entity|company)\b")),
    ("DUPLICATE", re.compile(r"\bnot two (?:different )?(?:people|persons|companies|entities)\b")),
    (
        "NO_MATCH",
        re.compile(
            r"\btwo (?:people|persons|companies|entities|sites)\b|\b(?:different|distinct) (?:people|persons|entities)\b"
            r"|\bno match\b|\bnot (?:a )?duplicates?\b"
        ),
    ),
    ("POSSIBLE", re.compile(r"\bcannot tell\b|\bpossibl[ey]\b|\btoo little\b|\bboth ways\b|\bneeds? (?:a )?review\b")),
    ("DUPLICATE", re.compile(r"\b(?:same|one) (?:person|entity)\b|\bone company\b|\bduplicates?\b")),
)


def write(evidence: Evidence, decision: str, rng: random.Random) -> str:
    """Return a sentence that names the deciding fields and how they compare, in the order in which a steward reads.

    Wording and length vary by chance, so that neither tells anything of the decision.
    """
    relations = {concept: said for concept, said in evidence.relations.items() if concept not in _UNSAID}
    ranked = sorted(relations, key=lambda concept: _rank(relations[concept], concept, decision))
    told = _told(evidence)
    aim, notes, length = rng.randint(*_LENGTHS), {}, sum(map(len, told))
    for concept in ranked:
        written = _WRITTEN[relations[concept]]
        note = written[int(rng.random() * len(written))].format(CONCEPTS[concept])
        longer = length + len(note) + len(", ")
        if notes and longer - aim > aim - length:
            break
        notes[concept], length = note, longer
    return _sentence((", " if rng.random() < 0.7 else "; ").join([*(notes[concept] for concept in relations if concept in notes), *told]))


def write_briefly(evidence: Evidence, decision: str) -> str:
    """Return a sentence with the two fields that say most for `decision`, and what the notes tell, always in the same words.

    Of fields that say as much, those that agree or differ outright come first: few claims, and the ones that are hard to get wrong.
    For POSSIBLE one speaks for a duplicate and one against, where there are such. Words that agree are only said to be alike.
    """
    relations = {concept: said for concept, said in evidence.relations.items() if concept not in _UNSAID}
    ranked = sorted(relations, key=lambda concept: (_rank(relations[concept], concept, decision), relations[concept] not in (SAME, DIFFERS)))
    if decision == "POSSIBLE":
        ranked.sort(key=lambda concept: concept not in _IDENTIFIERS)
        against = [concept for concept in ranked if relations[concept] == DIFFERS] or [
            concept for concept in ranked if relations[concept] in (ONLY_A, ONLY_B)
        ]
        agreeing = [concept for concept in ranked if relations[concept] in (SAME, CLOSE, FOUND)]
        ranked = [*agreeing[:1], *against[:1], *ranked]
    few = list(dict.fromkeys(ranked))[:_FEW_CLAIMS]
    said = {concept: ALIKE if concept not in CODES and kind in (SAME, CLOSE) else kind for concept, kind in relations.items() if concept in few}
    chosen = [_WRITTEN[kind][0].format(CONCEPTS[concept]) for concept, kind in said.items()]
    return _sentence(", ".join([*chosen, *_told(evidence)]))


def write_plainly(evidence: Evidence) -> str:
    """Return a sentence that goes through all fields that can be compared, always in the same words."""
    said = {concept: said for concept, said in evidence.relations.items() if concept not in _UNSAID}
    told = {concept: said for concept, said in said.items() if said not in (ONLY_A, ONLY_B) or concept in _IDENTIFIERS}
    return _sentence(", ".join([_WRITTEN[said][0].format(CONCEPTS[concept]) for concept, said in told.items()][:_MOST_CLAIMS]))


def _told(evidence: Evidence) -> list[str]:
    """Return what the notes tell, where it matters to this pair."""
    return [
        text for flag, text in _TOLD.items() if flag in evidence.flags and evidence.get(flag.removeprefix("shared_")) in _TELLING.get(flag, (None,))
    ]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _rank(said: str, concept: str, decision: str) -> int:
    """Return how far a field is from deciding: 0 decides."""
    agrees, differs, missing = said in (SAME, CLOSE, FOUND, UNCLEAR), said == DIFFERS, said in (ONLY_A, ONLY_B)
    if decision == "DUPLICATE":
        return 0 if agrees and concept in _IDENTIFIERS else 1 if concept in _NAMES and not missing else 2 if agrees else 3 if differs else 4
    if decision == "NO_MATCH":
        return (
            0 if differs and concept in (*_NAMES, *_IDENTIFIERS) else 1 if concept in _NAMES and not missing else 2 if differs else 3 if agrees else 4
        )
    return 0 if concept in _NAMES else 1 if concept in _IDENTIFIERS and not missing else 2 if differs or agrees else 3


def claims(text: str) -> list[tuple[str, str]]:
    """Return what a reasoning says of fields: (concept, relation) pairs, in its order.

    A clause ends at a comma, a semicolon, a full stop or "but"; fields joined by "and" share their clause's relation.
    """
    found = []
    for clause in re.split(r"[,;.!?]|\bbut\b|\bwhile\b", text.casefold()):
        if told := next((flag for flag, phrase in _TOLD.items() if phrase in clause), None):
            found.append(("notes", told))
            continue
        said = next((name for name, pattern in _RELATION_PATTERNS if pattern.search(clause)), None)
        if said:
            found += [(match.lastgroup, said) for match in _FIELD_PATTERN.finditer(clause)]
    return found


def is_grounded(text: str, record_a: dict[str, str], record_b: dict[str, str]) -> bool:
    """Tell whether a reasoning claims something, and every claim about a field is true of the two records."""
    evidence, made = compare(record_a, record_b), claims(text)
    return bool(made) and all(_holds(evidence, concept, said) for concept, said in made)


def contradicts(decision: str, text: str, record_a: dict[str, str], record_b: dict[str, str]) -> bool:
    """Tell whether a reasoning argues for another decision than the one it explains.

    Either it says so ("two people" for a DUPLICATE), or its claims, taken alone, prove the opposite merge decision.
    """
    spoken = next((verdict for verdict, pattern in _VERDICTS if pattern.search(text.casefold())), None)
    if spoken:
        return spoken != decision
    made = dict(claims(text))
    if not made or decision == "POSSIBLE":
        return False
    agree, differ = ({concept for concept, said in made.items() if said in kinds} for kinds in ((SAME, ALIKE, CLOSE, FOUND), (DIFFERS,)))
    if decision == "DUPLICATE":
        return not agree or _decided_by(made, record_a, record_b) == "NO_MATCH"
    apart = differ or {"namesake", "related", "head_office"} & set(made.values())
    return not apart or _decided_by(made, record_a, record_b) == "DUPLICATE"


def _decided_by(made: dict[str, str], record_a: dict[str, str], record_b: dict[str, str]) -> str:
    """Return the decision that follows from the claims alone, were they true."""
    seen = compare(record_a, record_b)
    return decide(Evidence(seen.a, seen.b, {concept: CLOSE if said == ALIKE else said for concept, said in made.items()}, seen.flags))


def _holds(evidence: Evidence, concept: str, said: str) -> bool:
    if said == ALIKE:
        return any(_holds(evidence, concept, kind) for kind in (SAME, CLOSE))
    true = evidence.get(concept)
    if said in _TOLD:
        return said in evidence.flags
    if concept == "name" and true is None:  # "name" may sum up the two fields
        parts = {evidence.get(part) for part in ("first", "last")} - {None}
        return said in parts if said == DIFFERS else bool(parts) and parts <= ({SAME} if said == SAME else {SAME, CLOSE})
    if concept in ("first", "last") and true is None and evidence.get("name") is not None:
        return said == evidence.get("name") or (evidence.get("name") == CLOSE and said in (SAME, CLOSE))
    return said == true
