"""Evidence: how two records compare, field by field. Every label, reasoning and check rests on it.

>>> evidence = compare({"FirstName": "Bill", "Email": "b@x.example"}, {"First Name": "William", "Phone": "1"})
>>> evidence.relations
{'first': 'close', 'email': 'only_a', 'phone': 'only_b'}
"""

import re
from dataclasses import dataclass, field

from crm_dedup_plugin.policy import notes
from crm_dedup_plugin.policy.fields import CONCEPTS, by_concept
from crm_dedup_plugin.policy.names import FREE_MAIL, SUFFIXES, company_parts, fold, is_role_inbox, person_words
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME, digits, email_domain, host, is_acronym, relation

ONLY_A, ONLY_B, FOUND = "only_a", "only_b", "found"
AGREE = frozenset((SAME, FOUND))
_PERSONAL = frozenset(("first", "last", "name", "mobile", "birth", "suffix", "role", "salutation"))
_ABOUT = {"maiden": "last", "employer": "company", "renamed": "company", "related": "company", "moved": "street", "head_office": "street"}
_ORDER = {concept: number for number, concept in enumerate(CONCEPTS)}


@dataclass
class Evidence:
    """The values of both records by concept, their relation in the order of `CONCEPTS`, and flags for what else matters.

    A relation is same, close, differs, unclear (other script), only_a, only_b, or found (the value of one record is in
    another field of the other). Flags: role_inbox, swapped (first and last name exchanged), initial (a given name is only
    a letter), same_first (full names that share the given name), part (one company name has more words), legal (two legal
    forms); and from the notes: shared_email, shared_mobile, namesake, related (a company), head_office (elsewhere), moved.
    """

    a: dict[str, str]
    b: dict[str, str]
    relations: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)

    @property
    def is_person(self) -> bool:
        """Tell whether the records describe people rather than companies."""
        return bool(_PERSONAL & (self.a.keys() | self.b.keys()))

    def get(self, concept: str) -> str | None:
        """Return the relation of a concept, None where neither record has it."""
        return self.relations.get(concept)


def compare(record_a: dict[str, str], record_b: dict[str, str]) -> Evidence:
    """Return the evidence of two flat records, whatever their field names."""
    a, b = _split_suffix(by_concept(record_a)), _split_suffix(by_concept(record_b))
    a, b = _align_names(a, b)
    evidence = Evidence(a, b)
    for concept in sorted(a.keys() | b.keys(), key=_ORDER.__getitem__):
        if concept in a and concept in b:
            evidence.relations[concept] = relation(concept, a[concept], b[concept])
        else:
            evidence.relations[concept] = ONLY_A if concept in a else ONLY_B
    _look_elsewhere(evidence)
    _read_notes(evidence)
    _compare_swapped_names(evidence)
    _flag(evidence)
    return evidence


def _split_suffix(values: dict[str, str]) -> dict[str, str]:
    """Return the values with Jr, Sr or III moved from the name to a suffix of its own."""
    for concept in ("last", "name"):
        head, _, tail = values.get(concept, "").rpartition(" ")
        if head and (suffix := SUFFIXES.get(fold(tail))):
            return {**values, concept: head.rstrip(", "), "suffix": values.get("suffix", suffix)}
    if "suffix" in values:
        return {**values, "suffix": SUFFIXES.get(fold(values["suffix"]), fold(values["suffix"]))}
    return values


def _align_names(a: dict[str, str], b: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Join first and last name where the other record has only a full name."""
    if ("name" in a) == ("name" in b):
        return a, b
    parts, whole = (a, b) if "name" in b else (b, a)
    if not {"first", "last"} <= parts.keys() or whole.keys() & {"first", "last"}:
        return a, b
    joined = {key: value for key, value in parts.items() if key not in ("first", "last")}
    joined["name"] = f"{parts['first']} {parts['last']}"
    return (joined, b) if parts is a else (a, joined)


def _look_elsewhere(evidence: Evidence) -> None:
    """Look for the e-mail and mobile of one record in the phone, website and notes of the other."""
    relations = evidence.relations
    for concept in ("email", "mobile"):
        if relations.get(concept) in (None, SAME, CLOSE):
            continue
        for one, other in ((evidence.a, evidence.b), (evidence.b, evidence.a)):
            value = one.get(concept)
            places = [other.get("website" if concept == "email" else "phone", ""), _own_notes(other.get("notes", ""))]
            if value and any(_stands_in(concept, value, place) for place in places):
                relations[concept] = FOUND


def _own_notes(text: str) -> str:
    """Return a note without the contact details that it says are somebody else's."""
    for kind, value in notes.read(text) if text else ():
        if kind == "others_contact":
            text = text.replace(value, "")
    return text


def _read_notes(evidence: Evidence) -> None:
    """Use what the notes of one record say about the name, company or address of the other."""
    for one, other in ((evidence.a, evidence.b), (evidence.b, evidence.a)):
        for kind, value in notes.read(one["notes"]) if "notes" in one else ():
            if kind in ("shared_email", "shared_mobile", "namesake"):
                evidence.flags.add(kind)
            elif concept := _ABOUT.get(kind):
                _connect(evidence, kind, concept, value, one, other)


def _connect(evidence: Evidence, kind: str, concept: str, value: str, one: dict[str, str], other: dict[str, str]) -> None:
    """Flag or mark as found a value of the other record that a note connects with this one."""
    if concept == "last" and "name" in other and "name" in one:
        concept, value = "name", f"{(one['name'].split(',')[-1].split() or [''])[0]} {value}"
    if concept not in other or evidence.relations.get(concept) in (SAME, FOUND) or relation(concept, value, other[concept]) not in (SAME, CLOSE):
        return
    if kind in ("related", "head_office"):
        evidence.flags.add(kind)
    elif evidence.relations.get(concept) in (DIFFERS, CLOSE, ONLY_A, ONLY_B):
        evidence.relations[concept] = FOUND
        evidence.flags |= {"moved"} if kind == "moved" else set()


def _stands_in(concept: str, value: str, text: str) -> bool:
    if concept == "email":
        value, text = value.strip().casefold(), text.casefold()
        return value in text and bool(re.search(rf"(?<![\w.+-]){re.escape(value)}(?![\w-]|\.\w)", text))
    number = digits(value)[-9:]
    return len(number) >= 7 and number in "".join(letter for letter in text if letter.isdigit())


def _compare_swapped_names(evidence: Evidence) -> None:
    a, b = evidence.a, evidence.b
    if not all(key in side for key in ("first", "last") for side in (a, b)) or evidence.get("first") == SAME:
        return
    crossed = relation("first", a["first"], b["last"]), relation("last", a["last"], b["first"])
    if all(one in (SAME, CLOSE) for one in crossed) and SAME in crossed:
        evidence.relations["first"] = evidence.relations["last"] = CLOSE
        evidence.flags.add("swapped")


def _flag(evidence: Evidence) -> None:
    a, b, flags = evidence.a, evidence.b, evidence.flags
    if evidence.get("email") in (SAME, CLOSE, FOUND) and any(is_role_inbox(side["email"]) for side in (a, b) if "email" in side):
        flags.add("role_inbox")
    if evidence.get("name") == DIFFERS and relation("first", _given(a["name"]), _given(b["name"])) in (SAME, CLOSE):
        flags.add("same_first")
    for side in (a, b):
        words = [word for concept in ("first", "last", "name") for word in person_words(side.get(concept, ""))]
        if any(len(word) == 1 for word in words):
            flags.add("initial")
    if "company" in a and "company" in b:
        (left, forms_a), (right, forms_b) = company_parts(a["company"]), company_parts(b["company"])
        spelled_together = "".join(left) == "".join(right)
        if evidence.get("company") == CLOSE and len(left) != len(right) and not spelled_together and not is_acronym(left, right):
            flags.add("part")
        if forms_a and forms_b and forms_a != forms_b:
            flags.add("legal")


def _given(name: str) -> str:
    """Return the given name of a full name: the first word, or the first behind a comma."""
    words = person_words(name.partition(",")[2] or name)
    return words[0] if words else ""


def shared_domain(evidence: Evidence) -> bool:
    """Tell whether an e-mail or website of each record is on the domain of one company."""
    a, b = ({email_domain(side.get("email", "")), host(side.get("website", ""))} for side in (evidence.a, evidence.b))
    return any(domain and domain.split(".")[0] not in FREE_MAIL for domain in a & b)
