"""Reasonings: what is written can be read back, is true and argues for its decision; planted errors are found."""

import doctest
import random
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.dataset.synth.generate import Settings, generate
from crm_dedup_plugin.pair.answer import LABELS, MAX_REASONING_CHARS, exchange_sides
from crm_dedup_plugin.policy import reasoning, rules
from crm_dedup_plugin.policy.evidence import FOUND, ONLY_A, ONLY_B, Evidence, compare
from crm_dedup_plugin.policy.fields import CONCEPTS
from crm_dedup_plugin.policy.reasoning import ALIKE, claims, contradicts, corrected, is_grounded, write
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME, UNCLEAR

D, P, N = LABELS
PROPERTY = settings()
SAID = {
    SAME: "{} same", CLOSE: "{} close", DIFFERS: "{} differs", UNCLEAR: "{} in another script", ONLY_A: "{} only in A", ONLY_B: "{} only in B",
    FOUND: "{} found in another field",
}  # fmt: skip
A = {"First Name": "Ann", "Last Name": "Larsson", "Email": "ann@x.example", "Mobile": "+44 7911 123456", "City": "York", "Company": "Acme Ltd"}
B = {"First Name": "Ann", "Last Name": "Larson", "Email": "ann@x.example", "Phone": "020 7946 0958", "City": "Leeds", "Company": "Acme GmbH"}
C = {"First Name": "Tom", "Last Name": "Ray", "Email": "tom@y.example", "City": "York"}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [
        *generate(1500, seed=29),
        *generate(300, seed=29, settings=Settings(unseen=True)),
        *generate(300, seed=29, settings=Settings(compact=True)),
    ]


def pair(row: dict) -> tuple[dict, dict]:
    return row["input"]["record_a"], row["input"]["record_b"]


def text(row: dict) -> str:
    return row["output"]["reasoning"]


def clauses(row: dict) -> list[str]:
    return re.split(r"[,;] ", text(row).rstrip("."))


# -- what the generator writes ------------------------------------------------------------------------------------


def test_every_written_reasoning_is_true_of_its_records(rows):
    assert [row["id"] for row in rows if not is_grounded(text(row), *pair(row))] == []


def test_no_written_reasoning_argues_for_another_decision(rows):
    wrong = [(row["output"], pair(row)) for row in rows if contradicts(row["output"]["decision"], text(row), *pair(row))]
    assert wrong[:3] == [] and not wrong


def test_every_clause_of_a_written_reasoning_is_a_claim(rows):
    for row in rows:
        made = claims(text(row))
        assert len(made) == len(clauses(row)) >= 1, text(row)
        assert len({concept for concept, _ in made if concept != "notes"}) == sum(concept != "notes" for concept, _ in made)


def test_reasonings_are_short_sentences(rows):
    for row in rows:
        assert text(row)[0].isupper() and text(row).endswith(".") and "\n" not in text(row)
        assert len(text(row)) <= MAX_REASONING_CHARS


def test_a_mirrored_reasoning_is_true_of_the_swapped_records(rows):
    for row in rows:
        assert is_grounded(exchange_sides(text(row)), *pair(row)[::-1]), text(row)
        assert exchange_sides(exchange_sides(text(row))) == text(row)


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("concept", CONCEPTS)
def test_every_way_to_write_a_claim_is_read_back(concept, said):
    for decision in LABELS:
        for seed in range(8):
            written = write(Evidence({}, {}, {concept: said}), decision, random.Random(seed)) if concept not in reasoning._UNSAID else ""
            assert claims(written) == ([(concept, said)] if written else []), written
    for form in reasoning._WRITTEN[said]:
        assert claims(form.format(CONCEPTS[concept])) == [(concept, said)]


@pytest.mark.parametrize("flag", ["shared_email", "shared_mobile", "namesake", "related", "head_office"])
def test_what_the_notes_tell_is_said_and_read_back(flag):
    relations = {"first": SAME, "email": SAME, "mobile": SAME, "company": SAME}
    written = write(Evidence({}, {}, relations, {flag}), P, random.Random(1))
    assert ("notes", flag) in claims(written) and ("notes", flag) not in claims(write(Evidence({}, {}, relations), P, random.Random(1)))
    assert not is_grounded(written, A, B), "these records have no notes"


# -- planted errors -----------------------------------------------------------------------------------------------


def planted(rows: list[dict], plant) -> list[tuple[str, dict]]:
    """Return (text, row) for each row in which `plant` finds something to falsify."""
    return [(made, row) for row in rows if (made := plant(row))]


def flip(row: dict) -> str | None:
    parts, evidence, rng = clauses(row), compare(*pair(row)), random.Random(row["id"])
    at = rng.randrange(len(parts))
    concept, said = claims(parts[at])[0]
    if concept == "notes":
        return None
    wrong = rng.choice([other for other in SAID if other != said and other != evidence.get(concept)])
    return ", ".join([*parts[:at], SAID[wrong].format(CONCEPTS[concept]), *parts[at + 1 :]]) + "."


def absent(row: dict) -> str | None:
    rng, seen = random.Random(row["id"]), set(compare(*pair(row)).relations)
    missing = sorted(set(CONCEPTS) - seen - {"first", "last", "name"})
    return f"{text(row)[:-1]}, {SAID[rng.choice(list(SAID))].format(CONCEPTS[rng.choice(missing)])}." if missing else None


def other_side(row: dict) -> str | None:
    made = exchange_sides(text(row))
    return made if made != text(row) else None


def same_email(row: dict) -> str | None:
    return f"{text(row)[:-1]}; same e-mail." if compare(*pair(row)).get("email") == DIFFERS else None


def same_name(row: dict) -> str | None:
    return "Names match." if compare(*pair(row)).get("name") == DIFFERS or compare(*pair(row)).get("last") == DIFFERS else None


@pytest.mark.parametrize(("plant", "least"), [(flip, 1500), (absent, 1500), (other_side, 400), (same_email, 80), (same_name, 150)])
def test_a_planted_error_is_never_grounded(rows, plant, least):
    made = planted(rows, plant)
    assert len(made) >= least
    assert [(wrong, row["id"]) for wrong, row in made if is_grounded(wrong, *pair(row))] == []


@pytest.mark.parametrize("plant", [flip, absent, other_side, same_email, same_name])
def test_a_planted_error_is_corrected_and_nothing_else(rows, plant):
    for wrong, row in planted(rows, plant):
        said, before = corrected(wrong, *pair(row)), set(clauses({"output": {"reasoning": wrong}}))
        assert is_grounded(said, *pair(row)), (wrong, said)
        true = [clause for clause in before if is_grounded(clause, *pair(row))]
        assert all(clause in said for clause in true), (wrong, said)


def test_a_true_reasoning_needs_no_correction(rows):
    assert [text(row) for row in rows] == [corrected(text(row), *pair(row)) for row in rows]


@pytest.mark.parametrize(
    ("sentence", "a", "b", "expected"),
    [
        ("E-mail same, last name same.", A, B, "E-mail same, last name close."),
        ("Same surnames but the e-mails match", A, B, "Last name close, the e-mails match."),
        ("Website differs, first name same.", A, B, "First name same."),
        ("Phone differs; notes tell of a namesake.", A, B, "Phone only in B."),
        ("Date of birth same.", A, C, "First name differs, last name differs, company only in A, e-mail differs, mobile only in A, city same."),
        ("The entries agree.", A, C, "The entries agree."),
        ("E-mail same.", {"Venue": "VLDB"}, {"Venue": "SIGMOD"}, "E-mail same."),
    ],
)
def test_what_a_reasoning_claims_wrongly_is_put_right_or_left_out(sentence, a, b, expected):
    assert corrected(sentence, a, b) == expected


def test_the_reasoning_of_another_pair_is_hardly_ever_grounded(rows):
    others = rows[1:] + rows[:1]
    passed = sum(is_grounded(text(other), *pair(row)) for row, other in zip(rows, others, strict=True))
    assert passed / len(rows) < 0.15


def test_the_reasoning_of_the_opposite_decision_contradicts(rows):
    """All fields of a DUPLICATE that differ are no reason to merge, nor are those that agree a reason to keep apart."""
    for row in rows:
        opposite = {D: N, N: D}.get(row["output"]["decision"])
        verdicts = {D: "These are the same person.", N: "These are two people.", P: "One cannot tell."}
        for other in LABELS:
            assert contradicts(row["output"]["decision"], verdicts[other], *pair(row)) == (other != row["output"]["decision"])
        if opposite:
            kind = DIFFERS if opposite == N else SAME
            claim = ", ".join(SAID[kind].format(CONCEPTS[concept]) for concept in ("first", "last", "email"))
            assert contradicts(row["output"]["decision"], claim, *pair(row))


# -- wording ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The first names match but the e-mail addresses are different.", [("first", SAME), ("email", DIFFERS)]),
        ("Both records share the same email and mobile number.", [("email", SAME), ("mobile", SAME)]),
        ("Surnames are nearly identical; dates of birth differ.", [("last", CLOSE), ("birth", DIFFERS)]),
        ("Given name is a nickname, while the phone does not match.", [("first", CLOSE), ("phone", DIFFERS)]),
        ("VAT ID is identical. The street addresses are not the same.", [("tax", SAME), ("street", DIFFERS)]),
        ("Mobile only in record A, website missing from record A.", [("mobile", ONLY_A), ("website", ONLY_B)]),
        ("The company names conflict, and the cities differ!", [("company", DIFFERS), ("city", DIFFERS)]),
        ("Job titles mismatch; zip codes are equal", [("role", DIFFERS), ("postcode", SAME)]),
        ("Full name in another script, e-mail found in the notes.", [("name", UNCLEAR), ("email", FOUND), ("notes", FOUND)]),
        ("The telephone numbers agree, birthday is similar", [("phone", SAME), ("birth", CLOSE)]),
        ("SAME E-MAIL", [("email", SAME)]),
        ("First and last names alike, city differs.", [("last", ALIKE), ("city", DIFFERS)]),
        ("", []),
        ("Same.", []),
        ("These look alike to me.", []),
        ("E-mail, phone.", []),
        ("The decision is DUPLICATE because the evidence is strong.", []),
    ],
)
def test_free_wording_is_read_as_claims(sentence, expected):
    assert list(dict.fromkeys(claims(sentence))) == expected


@pytest.mark.parametrize(
    ("sentence", "a", "b", "expected"),
    [
        ("First name and e-mail same, last name close.", A, B, True),
        ("The first names match but the cities are different.", A, B, True),
        ("Mobile only in A; phone missing in A.", A, B, True),
        ("Company similar.", A, B, True),
        ("The first names match but the e-mail addresses are different.", A, B, False),
        ("Mobile only in B.", A, B, False),
        ("Phone same.", A, B, False),
        ("Date of birth differs.", A, B, False),
        ("Last name same.", A, B, False),
        ("First name same, e-mail same, city same.", A, B, False),
        ("Names differ.", A, C, True),
        ("Names match.", A, C, False),
        ("Names match.", A, {**A, "City": "Leeds"}, True),
        ("Names are similar.", A, B, True),
        ("Names alike.", A, B, True),
        ("First name alike, last name alike, company alike.", A, B, True),
        ("City alike.", A, B, False),
        ("Phone alike.", A, B, False),
        ("Names alike.", A, C, False),
        ("Names match.", A, B, False),
        ("Name same.", {"City": "York"}, {"City": "York"}, False),
    ],
)
def test_a_sentence_is_grounded_where_each_claim_is_true(sentence, a, b, expected):
    assert is_grounded(sentence, a, b) == expected


@pytest.mark.parametrize(
    "sentence", ["", " ", ".", "Same.", "I am sure.", "These are the same person.", "Duplicate", "same, same, same", "n/a", "e-mail", "A and B"]
)
def test_a_sentence_without_a_claim_is_never_grounded(sentence):
    assert not is_grounded(sentence, A, B) and not is_grounded(sentence, A, A)


@pytest.mark.parametrize(
    ("decision", "sentence", "expected"),
    [
        (D, "First name differs, last name differs.", True),
        (D, "E-mail differs.", True),
        (D, "City only in A.", True),
        (D, "Same e-mail, but these are two people.", True),
        (D, "Two different companies.", True),
        (D, "Not a duplicate: e-mail same.", True),
        (D, "Cannot tell, first name same.", True),
        (D, "First name differs, date of birth differs, city same.", True),
        (D, "First name same, last name close, e-mail same.", False),
        (D, "Same person: e-mail same.", False),
        (N, "First name same, last name same, e-mail same.", True),
        (N, "E-mail same.", True),
        (N, "First name alike, last name alike.", True),
        (N, "First name alike, e-mail differs.", False),
        (D, "Last name alike, e-mail same.", False),
        (N, "One person under two addresses: street differs.", True),
        (N, "Duplicates.", True),
        (N, "First name differs, e-mail differs.", False),
        (N, "Two people: first name differs.", False),
        (N, "No match, e-mail differs.", False),
        (P, "Same person.", True),
        (P, "Two people.", True),
        (P, "First name same, e-mail differs.", False),
        (P, "Possibly one family: last name same.", False),
        (P, "Too little to go by.", False),
        (N, "Name differs; same company; mobile not the same.", False),
        (P, "Same company; e-mail differs.", False),
        (D, "Last name differs; different companies, first name same, e-mail same.", False),
    ],
)
def test_a_reasoning_contradicts_where_it_argues_for_another_decision(decision, sentence, expected):
    assert contradicts(decision, sentence, A, B) == expected


@pytest.mark.parametrize("sentence", ["These are not the same person.", "They are not two people."])
def test_a_denied_verdict_is_read_as_its_opposite(sentence):
    decision = D if "two people" in sentence else N
    assert not contradicts(decision, f"{sentence[:-1]}, first name {'same' if decision == D else 'differs'}.", A, A if decision == D else C)


hostile = st.text(st.characters(codec=None), max_size=80) | st.lists(
    st.sampled_from(
        ["same", "differs", "only in A", "e-mail", "names", "but", "notes tell of a namesake", ",", ";", "two people", "\ud800", "\u202e", "not the"]
    ),
    max_size=12,
).map(" ".join)
RECORDS = st.sampled_from([A, B, C, {}, {"Name": "Ann Lee"}, {"Company": "Acme", "Notes": "formerly Zenith"}])


@PROPERTY
@given(hostile, RECORDS, RECORDS, st.sampled_from(LABELS))
@example("", {}, {}, D)
def test_any_text_can_be_checked(sentence, a, b, decision):
    made = claims(sentence)
    assert all(concept in CONCEPTS for concept, _ in made)
    assert is_grounded(sentence, a, b) in (True, False) and contradicts(decision, sentence, a, b) in (True, False)
    assert made or not is_grounded(sentence, a, b)
    said = corrected(sentence, a, b)
    assert said == sentence or (is_grounded(said, a, b) and len(said) <= MAX_REASONING_CHARS and corrected(said, a, b) == said)


def test_an_honest_steward_never_contradicts_itself():
    for a, b in ((A, B), (A, C), (B, C), (A, A)):
        evidence = compare(a, b)
        for seed in range(20):
            assert is_grounded(write(evidence, rules.decide(evidence), random.Random(seed)), a, b)


def test_the_examples_in_the_docstring_hold():
    assert doctest.testmod(reasoning).failed == 0
