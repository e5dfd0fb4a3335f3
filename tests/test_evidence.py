"""Evidence: every field of either record has one relation, and which record comes first changes nothing but the side."""

import doctest

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.dataset.synth.generate import generate
from crm_dedup_plugin.pair.record import normalise
from crm_dedup_plugin.policy import evidence as module
from crm_dedup_plugin.policy import notes
from crm_dedup_plugin.policy.evidence import FOUND, ONLY_A, ONLY_B, Evidence, compare, shared_domain
from crm_dedup_plugin.policy.fields import CONCEPTS, SCHEMAS, UNSEEN_SCHEMAS, by_concept
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME, UNCLEAR

PROPERTY = settings()
NAMES = sorted({name for schema in (*SCHEMAS.values(), *UNSEEN_SCHEMAS.values()) for written in schema.values() for name in written})
MIRROR = {ONLY_A: ONLY_B, ONLY_B: ONLY_A}
ANN = {"First Name": "Ann", "Last Name": "Lee"}
ACME = {"Company": "Acme Ltd"}


def relations(a: dict, b: dict) -> dict[str, str]:
    return compare(a, b).relations


def flags(a: dict, b: dict) -> set[str]:
    return compare(a, b).flags


def mirrored(evidence: Evidence) -> dict[str, str]:
    return {concept: MIRROR.get(said, said) for concept, said in evidence.relations.items()}


PIECES = [
    "Ann",
    "Lee",
    "Lee,",
    ",",
    "Jr.",
    "III",
    "Acme",
    "Ltd",
    "GmbH",
    "info@x.example",
    "ann@x.example",
    "+44 20 7946 0958",
    "www.x.example",
    "n/a",
    "王",
    "née Lee",
]
CUED = [notes.write(kind, 0, value) for kind in notes.CUES for value in ("Lee", "Acme Ltd", "1 Main St", "ann@x.example", "")]
texts = st.text(st.characters(codec=None), max_size=30) | st.lists(st.sampled_from(PIECES), max_size=4).map(" ".join) | st.sampled_from(CUED)
records = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), texts, max_size=8).map(lambda record: normalise(record)[0])


@pytest.mark.parametrize("value", ["n/a", "test@test.com", "0000", "-", "Unknown", ""])
def test_a_placeholder_is_a_missing_value(value):
    a = {**ANN, "Email": "ann@x.example"}
    assert relations(a, {**ANN, "Email": value}) == relations(a, ANN) == {"first": SAME, "last": SAME, "email": ONLY_A}
    assert relations({"Email": value}, {"Email": value}) == {}


def test_a_placeholder_does_not_hide_the_second_field_of_a_concept():
    assert relations({**ANN, "Phone": "n/a", "Telephone": "020 7946 0958"}, {**ANN, "Phone": "+44 20 7946 0958"})["phone"] == SAME


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ({"Last Name": "Lee Jr."}, "jr"),
        ({"Last Name": "Lee, Jr"}, "jr"),
        ({"Last Name": "Lee", "Suffix": "Junior"}, "jr"),
        ({"Last Name": "Lee III"}, "iii"),
    ]
    + [({"Name": "Ann Lee Sr."}, "sr")],
)
def test_a_suffix_is_moved_from_the_name_to_its_own_place(name, suffix):
    found = compare(name, {})
    assert found.a["suffix"] == suffix and found.a.get("last", "Lee") == "Lee" and found.a.get("name", "Ann Lee") == "Ann Lee"


def test_suffixes_compare_wherever_they_stand():
    assert relations({**ANN, "Suffix": "Jr"}, {"First Name": "Ann", "Last Name": "Lee Junior"}) == {"first": SAME, "last": SAME, "suffix": SAME}
    assert relations({**ANN, "Suffix": "Jr"}, {"Name": "Ann Lee Sr."}) == {"name": SAME, "suffix": DIFFERS}


def test_a_family_name_that_is_a_suffix_stays_a_name():
    assert relations({"Last Name": "Senior"}, {"Last Name": "Senior"}) == {"last": SAME}


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        ("Ann Lee", SAME),
        ("Lee, Ann", SAME),
        ("Dr. Ann Lee", SAME),
        ("A. Lee", CLOSE),
        ("Ann Marie Lee", CLOSE),
        ("Lee", UNCLEAR),
        ("Bob Lee", DIFFERS),
    ],
)
def test_a_full_name_is_compared_with_its_parts(whole, expected):
    assert relations(ANN, {"Full Name": whole}) == relations({"Full Name": whole}, ANN) == {"name": expected}


def test_one_part_alone_is_not_compared_with_a_full_name():
    assert relations({"Last Name": "Lee"}, {"Full Name": "Ann Lee"}) == {"last": ONLY_A, "name": ONLY_B}


def test_swapped_names_are_close_and_flagged():
    b = {"First Name": "Lee", "Last Name": "Ann"}
    assert relations(ANN, b) == {"first": CLOSE, "last": CLOSE} and flags(ANN, b) == {"swapped"}
    assert "swapped" not in flags(ANN, ANN)
    assert relations({"First Name": "Lee", "Last Name": "Lee"}, {"First Name": "Lee", "Last Name": "Lee"}) == {"first": SAME, "last": SAME}
    assert relations(ANN, {"First Name": "Lee", "Last Name": "Smith"}) == {"first": DIFFERS, "last": DIFFERS}


@pytest.mark.parametrize(
    ("a", "b", "concept"),
    [
        ({"Email": "ann@x.example"}, {"Notes": "mail: ANN@x.example"}, "email"),
        ({"Email": "ann@x.example"}, {"Email": "a.lee@y.example", "Notes": "also ann@x.example"}, "email"),
        ({"Mobile": "+44 7911 123456"}, {"Phone": "07911 123456"}, "mobile"),
        ({"Mobile": "+44 7911 123456"}, {"Notes": "call 07911 123456 after six"}, "mobile"),
        ({"Mobile": "+44 7911 123456"}, {"Mobile": "07700 900123", "Notes": "private: 07911 123456"}, "mobile"),
    ],
)
def test_a_value_is_found_in_another_field(a, b, concept):
    assert relations(a, b)[concept] == relations(b, a)[concept] == FOUND


@pytest.mark.parametrize(
    ("a", "b", "concept", "expected"),
    [
        ({"Email": "ann@x.example"}, {"Notes": "assistant: ann@x.example"}, "email", ONLY_A),
        ({"Email": "ann@x.example"}, {"Notes": "mail: bob@x.example"}, "email", ONLY_A),
        ({"Mobile": "+44 7911 123456"}, {"Phone": "020 7946 0958"}, "mobile", ONLY_A),
        ({"Mobile": "123"}, {"Notes": "123"}, "mobile", ONLY_A),
    ],
)
def test_what_is_somebody_elses_or_another_value_is_not_found(a, b, concept, expected):
    assert relations({**ANN, **a}, {**ANN, **b})[concept] == expected


def test_an_address_is_not_found_inside_a_longer_one():
    assert relations({**ANN, "Email": "lee@x.example"}, {**ANN, "Notes": "also ann.lee@x.example"})["email"] == ONLY_A


@pytest.mark.parametrize(
    ("a", "b", "flag"),
    [
        ({"Email": "info@x.example"}, {"Email": "info@x.example"}, "role_inbox"),
        ({"Email": "sales.uk@x.example"}, {"Email": "sales.uk@x.example"}, "role_inbox"),
        ({"First Name": "A.", "Last Name": "Lee"}, ANN, "initial"),
        ({"Full Name": "A. Lee"}, ANN, "initial"),
        ({"Company": "Acme Logistics Ltd"}, ACME, "part"),
        ({"Company": "Acme GmbH"}, ACME, "legal"),
        ({**ANN, "Notes": "father has the same name"}, ANN, "namesake"),
        ({**ANN, "Notes": "VIP; mailbox shared with the family"}, ANN, "shared_email"),
        ({**ANN, "Notes": "mobile of the whole shift"}, ANN, "shared_mobile"),
        ({"Company": "Zenith", "Notes": "subsidiary of Acme Ltd"}, ACME, "related"),
        ({**ACME, "Street": "Main St 5"}, {**ACME, "Street": "Oak Rd 7", "Notes": "moved from Main St 5"}, "moved"),
        ({**ACME, "Street": "Main St 5"}, {**ACME, "Street": "Oak Rd 7", "Notes": "branch, head office at Main St 5"}, "head_office"),
    ],
)
def test_what_else_matters_is_flagged_in_either_order(a, b, flag):
    assert flag in flags(a, b) and flag in flags(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"Email": "ann@x.example"}, {"Email": "ann@x.example"}),
        ({"Company": "International Business Machines"}, {"Company": "IBM"}),
        ({"Company": "Acme"}, {"Company": "Acme Ltd"}),
        ({**ANN, "Notes": "VIP; wants a quote"}, {**ANN, "Notes": "left a voicemail"}),
        ({"Company": "Zenith", "Notes": "subsidiary of Orion Ltd"}, ACME),
    ],
)
def test_nothing_is_flagged_without_reason(a, b):
    assert not flags(a, b) and not flags(b, a)


@pytest.mark.parametrize(
    ("a", "b", "concept", "expected"),
    [
        ({"First Name": "Ann", "Last Name": "Kowalski"}, {**ANN, "Notes": "née Kowalski"}, "last", FOUND),
        ({"First Name": "Ann", "Last Name": "Kowalski"}, {**ANN, "Notes": "assistant of Kowalski"}, "last", DIFFERS),
        ({"Full Name": "Ann Kowalski"}, {"Full Name": "Ann Lee", "Notes": "geb. Kowalski"}, "name", FOUND),
        ({**ANN, "Company": "Acme"}, {**ANN, "Company": "Zenith", "Notes": "previously with Acme"}, "company", FOUND),
        ({**ANN, "Company": "Acme"}, {**ANN, "Company": "Zenith", "Notes": "supplier of Acme"}, "company", DIFFERS),
        ({"Company": "Acme"}, {"Company": "Zenith", "Notes": "formerly Acme"}, "company", FOUND),
        ({"Company": "Acme"}, {"Company": "Zenith", "Notes": "customer of Acme"}, "company", DIFFERS),
    ],
)
def test_notes_join_two_values_only_where_they_say_so(a, b, concept, expected):
    assert relations(a, b)[concept] == relations(b, a)[concept] == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"Email": "ann@x.example"}, {"Email": "bob@X.example"}, True),
        ({"Email": "ann@x.example"}, {"Website": "https://www.x.example/about"}, True),
        ({"Email": "ann@gmail.com"}, {"Email": "bob@gmail.com"}, False),
        ({"Email": "ann@x.example"}, {"Email": "bob@y.example"}, False),
        ({"Email": "ann"}, {"Email": "bob"}, False),
        ({"Phone": "1"}, {"Website": "x.example"}, False),
    ],
)
def test_a_domain_is_shared_where_it_is_one_companys(a, b, expected):
    assert shared_domain(compare(a, b)) == shared_domain(compare(b, a)) == expected


def test_a_pair_with_any_personal_field_is_about_people():
    assert compare(ANN, ACME).is_person and compare(ACME, {"Mobile": "07911 123456"}).is_person
    assert not compare(ACME, {"Phone": "1", "Email": "info@x.example"}).is_person


def test_relations_come_in_the_order_in_which_a_steward_looks():
    found = list(relations({"Notes": "x", "City": "York", "Last Name": "Lee"}, {"Email": "ann@x.example", "First Name": "Ann"}))
    assert found == sorted(found, key=list(CONCEPTS).index)


@PROPERTY
@given(records, records)
@example({"Name": "Lee,", "Notes": "née Kowalski"}, {"Name": "Ann Kowalski"})
@example({"Name": ",", "Notes": "née Kowalski"}, {"Name": "Ann Kowalski"})
@example({"Email": "info@x.example"}, {"Email": "ann@x.example"})
def test_any_two_records_have_evidence_and_swapping_them_mirrors_it(a, b):
    found, back = compare(a, b), compare(b, a)
    assert mirrored(back) == found.relations and back.flags == found.flags
    assert (back.a, back.b, back.is_person) == (found.b, found.a, found.is_person)
    assert list(found.relations) == list(back.relations)
    assert set(found.relations.values()) <= {SAME, CLOSE, DIFFERS, UNCLEAR, ONLY_A, ONLY_B, FOUND}


@PROPERTY
@given(records)
def test_a_record_compared_with_itself_agrees_in_everything(record):
    assert set(relations(record, record).values()) <= {SAME}
    assert set(relations(record, record)) >= set(by_concept(record)) - {"suffix"}


def test_swapping_generated_records_mirrors_their_evidence():
    for row in generate(600, seed=23):
        a, b = row["input"]["record_a"], row["input"]["record_b"]
        found, back = compare(a, b), compare(b, a)
        assert mirrored(back) == found.relations and back.flags == found.flags, row


def test_comparing_leaves_the_records_alone():
    a, b = {**ANN, "Suffix": "Jr"}, {"Name": "Ann Lee Sr.", "Notes": "née Smith"}
    before = (dict(a), dict(b))
    compare(a, b)
    assert (a, b) == before


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(module).failed == doctest.testmod(notes).failed == 0
