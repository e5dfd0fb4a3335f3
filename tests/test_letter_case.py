"""The letter case in which a model reads two records: what changes, what never does, and that nothing else sees it."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_dedup_plugin.matching import letter_case
from crm_dedup_plugin.matching.letter_case import alike
from crm_dedup_plugin.pair.record import Record, normalise

NAMES = ("First Name", "Last Name", "Full Name", "Email", "Company", "City", "Country", "Tax No.", "Notes", "Colour")
WORDS = (
    "ANN",
    "Ann",
    "ann",
    "LEE",
    "Lee & CO.",
    "GMBH",
    "GmbH",
    "MÜLLER",
    "mu\u0308ller",
    "MU\u0308LLER",
    "STRASSE",
    "Straße",
    "ΑΣΣΟΣ",
    "İZMİR",
    "A1B",
    "O'NEIL",
    "ẞ",
    "山田",
)
values = st.lists(st.sampled_from((*WORDS, "ANN@LEE.EXAMPLE", "Ann@Lee.example")) | st.text(max_size=6), min_size=1, max_size=3).map(" ".join)
records = st.dictionaries(st.sampled_from(NAMES) | st.text(min_size=1, max_size=8), values, max_size=6).map(lambda record: normalise(record)[0])


def read(left: dict, right: dict) -> tuple[Record, Record]:
    return alike(normalise(left)[0], normalise(right)[0])


@given(records, records)
def test_nothing_but_case_changes_and_once_is_enough(left, right):
    a, b = alike(left, right)
    assert alike(a, b) == (a, b)
    assert alike(right, left) == (b, a)
    for before, after in ((left, a), (right, b)):
        assert list(before) == list(after) and normalise(after) == (after, [])
        assert [value.casefold() for value in before.values()] == [value.casefold() for value in after.values()]


@given(records)
def test_two_equal_records_stay_equal(record):
    a, b = alike(record, Record(record))
    assert a == b


@pytest.mark.parametrize(
    ("value", "other", "read_as"),
    [
        ("JEAN-LUC O'NEIL", "Jean-Luc O'Neil", "Jean-Luc O'Neil"),
        ("WEBER TECHNIK GMBH", "Weber Technik GmbH", "Weber Technik GmbH"),
        ("WEBER TECHNIK", "weber & co", "weber Technik"),
        ("WEBERTECHNIK", "Weber", "Webertechnik"),
        ("WEBER TECHNIK", "WEBER & CO", "WEBER TECHNIK"),
        ("WEBER TECHNIK", "", "WEBER TECHNIK"),
        ("MU\u0308LLER BAU", "Mu\u0308ller Bau", "Mu\u0308ller Bau"),
        ("IBM", "Ibm", "IBM"),
        ("GMBH", "GmbH", "GMBH"),
        ("4YOU MEDIA3 LTD", "4you", "4YOU MEDIA3 LTD"),
        ("Weber TECHNIK", "Weber Technik", "Weber TECHNIK"),
    ],
)
def test_capitals_become_title_case_where_the_other_record_has_other_letters(value, other, read_as):
    assert read({"Company": value}, {"Company name": other, "City": "Leeds"})[0] == {"Company": read_as}


def test_the_parts_of_a_name_are_read_as_one():
    assert read({"First Name": "ANN", "Last Name": "LEE"}, {"Full Name": "Lee, Ann"})[0] == {"First Name": "Ann", "Last Name": "Lee"}
    assert read({"First Name": "ANN", "Last Name": "Lee"}, {"Full Name": "Ann Lee"})[0] == {"First Name": "ANN", "Last Name": "Lee"}


@pytest.mark.parametrize("name", ["VAT ID", "Record ID", "Postcode", "Zip"])
def test_codes_stay_as_they_are(name):
    assert read({name: "GB ABCDEFG"}, {name: "gb abcdefg"}) == ({name: "GB ABCDEFG"}, {name: "gb abcdefg"})


def test_addresses_are_read_in_lower_case_wherever_they_stand():
    a, b = read({"Email": "JOERG@X.EXAMPLE", "Notes": "ask ANN@X.example, not BOB"}, {"Web": "https://x.example/@Ann"})
    assert a == {"Email": "joerg@x.example", "Notes": "ask ann@x.example, not BOB"} and b == {"Web": "https://x.example/@Ann"}


def test_a_record_that_would_grow_beyond_its_limit_stays_as_it_is():
    long = normalise({"Email": f"{'İ' * 290}@x"})[0]
    assert alike(long, Record(Email="a@x"))[0] == long


def test_the_example_in_the_docstring_holds():
    assert doctest.testmod(letter_case).failed == 0
