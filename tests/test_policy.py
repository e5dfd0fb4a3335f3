"""The policy of the three decisions, as a table of pairs that a person can check, and what must not sway it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.dataset.synth.generate import generate
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import rules
from crm_dedup_plugin.policy.evidence import compare
from crm_dedup_plugin.policy.fields import by_concept, concept_of

D, P, N = LABELS
PROPERTY = settings()


def decide(a: dict, b: dict) -> str:
    return rules.decide(compare(a, b))


def person(first: str = "Ann", last: str = "Lee", **more: str) -> dict[str, str]:
    return {"First Name": first, "Last Name": last, **more}


def company(name: str = "Acme Logistics Ltd", **more: str) -> dict[str, str]:
    return {"Company": name, **more}


MAIL = {"Email": "ann.lee@x.example"}
CELL = {"Mobile": "+44 7911 123456"}
BORN = {"DOB": "1980-04-13"}
WORK = {"Company": "Acme Logistics Ltd"}
HOME = {"Street": "12 Main St", "City": "York"}
DESK = {"Phone": "020 7946 0958"}
INBOX = {"Email": "info@acme.example"}
OTHERS = {"Email": "q.ray@y.example", "Mobile": "07700 900123", "City": "Leeds"}
TAX = {"VAT ID": "GB123456789"}
SITE = {"Website": "acme.example"}
TEL = {"Phone": "+44 20 7946 0958"}
FAR = {"Street": "7 Oak Rd", "City": "Leeds"}

PEOPLE = [
    # one name and something that belongs to one person alone
    (D, "same name and e-mail", person(**MAIL), person(**MAIL)),
    (D, "same name and mobile in another format", person(**CELL), person(Mobile="07911 123456")),
    (D, "same name and date of birth", person(**BORN), person(DOB="13.04.1980")),
    (D, "same name and tax number", person(**TAX), person(**TAX)),
    (D, "nickname and e-mail", person("William", **MAIL), person("Bill", **MAIL)),
    (D, "initial and e-mail", person("A.", **MAIL), person(**MAIL)),
    (D, "swapped names and mobile", person(**CELL), person("Lee", "Ann", **CELL)),
    (D, "full name and its parts, with e-mail", {"Name": "Lee, Ann", **MAIL}, person(**MAIL)),
    (D, "e-mail found in the notes", person(**MAIL), person(Notes="mail: ann.lee@x.example")),
    (D, "mobile found in the phone field", person(**CELL), person(Phone="07911 123456")),
    (D, "name in another script, with mobile", person("Ivan", "Petrov", **CELL), person("Иван", "Петров", **CELL)),
    (D, "same name and e-mail, much else differs", person(**MAIL, **FAR), person(**MAIL, **HOME)),
    # two circumstances at once
    (D, "same employer and job", person(**WORK, Title="CEO"), person(**WORK, Title="CEO")),
    (D, "same home and phone", person(**HOME, **DESK), person(**HOME, **DESK)),
    (D, "a new family name, first name and e-mail same", person(**MAIL), person(last="Ray", **MAIL)),
    (D, "the maiden name stands in the notes, mobile same", person(**CELL), person(last="Ray", **CELL, Notes="née Lee")),
    (D, "no first name, but e-mail and mobile", {"Last Name": "Lee", **MAIL, **CELL}, person(**MAIL, **CELL)),
    (D, "no name at all, but e-mail and mobile", {**MAIL, **CELL}, {**MAIL, **CELL}),
    (D, "name in a script that does not compare, with e-mail", person("伟", "田中", **MAIL), person("Makoto", "Tanaka", **MAIL)),
    # too little to merge, too little to keep apart
    (P, "the name alone", person(), person()),
    (P, "same name and employer", person(**WORK), person(**WORK)),
    (P, "same name, phone and street of one employer", person(**WORK), person(**WORK, **FAR)),
    (P, "same employer at the employer's address", person(**WORK, **HOME, **DESK), person(**WORK, **HOME, **DESK)),
    (P, "same name and home", person(**HOME), person(**HOME)),
    (P, "initial and date of birth", person("A.", **BORN), person(**BORN)),
    (P, "initial, employer and home", person("A.", **WORK, **HOME), person(**WORK, **HOME)),
    (P, "same name at one role inbox", person(**INBOX), person(**INBOX)),
    (P, "same name and a mailbox of the family", person(**MAIL), person(**MAIL, Notes="mailbox shared with the family")),
    (P, "same name and a mobile of the shift", person(**CELL), person(**CELL, Notes="VIP; mobile of the whole shift")),
    (P, "a nearly equal e-mail alone", person(Email="ann.lee@gmail.com"), person(Email="ann.lee@gmial.com")),
    (P, "two dates of birth, one e-mail", person(**BORN, **MAIL), person(DOB="1957-11-02", **MAIL)),
    (P, "two suffixes, one e-mail", person(Suffix="Sr", **MAIL), person(Suffix="Jr", **MAIL)),
    (P, "two tax numbers, one mobile", person(**TAX, **CELL), person(**CELL, **{"VAT ID": "GB987654321"})),
    (P, "two first names, one e-mail", person(**MAIL), person("Tom", **MAIL)),
    (P, "two names, one mobile", person(**CELL), person("Tom", "Ray", **CELL)),
    (P, "another family name, same street", person(**HOME), person(last="Ray", **HOME)),
    (P, "another family name, one date of birth", person(**BORN), person(last="Ray", **BORN)),
    (P, "no first name, one e-mail", {"Last Name": "Lee", **MAIL}, person(**MAIL)),
    (P, "no name in one record", {**MAIL}, person(**MAIL)),
    (P, "same name, two cities, two e-mails", person(Email="ann@x.example", City="York"), person(Email="q@y.example", City="Leeds")),
    # two people
    (N, "two names", person(), person("Tom", "Ray")),
    (N, "two first names at one address", person(**HOME), person("Tom", **HOME)),
    (N, "brother and sister of one day of birth", person("Daniel", **BORN, **HOME), person("Daniela", **BORN, **HOME)),
    (N, "two first names, two dates of birth, one e-mail", person(**MAIL, **BORN), person("Tom", DOB="1957-11-02", **MAIL)),
    (N, "one name, two dates of birth", person(**BORN), person(DOB="1957-11-02")),
    (N, "father and son", person(Suffix="Sr", **HOME), person(Suffix="Jr", **HOME)),
    (N, "two family names", person(), person(last="Ray")),
    (N, "colleagues behind one inbox", person(**INBOX, **WORK), person("Tom", "Ray", **INBOX, **WORK)),
    (N, "one name, all else differs", person(**OTHERS), person(Email="ann@x.example", Mobile="07911 123456", City="York")),
    (N, "a namesake, as the notes say", person(City="York", Notes="father has the same name"), person(City="Leeds")),
    (N, "two names, though the notes name the other", person(last="Ray", Notes="assistant of Lee"), person()),
]
COMPANIES = [
    (D, "same name and tax number", company(**TAX), company("Acme Logistics Limited", **TAX)),
    (D, "same phone and web site", company(**TEL, **SITE), company("Acme Logistics", **TEL, **SITE)),
    (D, "same phone and street", company(**TEL, Street="12 Main St"), company(**TEL, Street="12 Main Street")),
    (D, "same web site and city", company(**SITE, City="York"), company(Website="https://www.acme.example/", City="York")),
    (D, "the domain of an e-mail, same postcode", company(**INBOX, ZIP="YO1 7HH"), company(**SITE, ZIP="YO1 7HH")),
    (D, "initials and tax number", company("International Business Machines", **TAX), company("IBM", **TAX)),
    (D, "another name, tax number and phone same", company(**TAX, **TEL), company("Zenith Freight", **TAX, **TEL)),
    (D, "renamed, as the notes say, web site same", company(**SITE), company("Zenith Freight", **SITE, Notes="formerly Acme Logistics Ltd")),
    (D, "moved, as the notes say", company(**HOME, **SITE, **TEL), company(**FAR, **SITE, **TEL, Notes="moved from 12 Main St")),
    (D, "two cities, tax number and phone same", company(**TAX, **TEL, City="York"), company(**TAX, **TEL, City="Leeds")),
    (P, "the name alone", company(), company()),
    (P, "only a phone in common", company(**TEL), company(**TEL)),
    (P, "another name, only the tax number same", company(**TAX), company("Zenith Freight", **TAX)),
    (P, "another name, phone and street same", company(**TEL, Street="12 Main St"), company("Zenith Freight", **TEL, Street="12 Main St")),
    (P, "another tax number, all else same", company(**TAX, **TEL, **SITE), company(**TEL, **SITE, **{"VAT ID": "GB987654321"})),
    (P, "another legal form, same phone", company(**TEL), company("Acme Logistics GmbH", **TEL)),
    (P, "a name with a word more, same web site", company("Acme", **SITE), company("Acme Logistics", **SITE)),
    (P, "two cities, one phone", company(**TEL, City="York"), company(**TEL, City="Leeds")),
    (P, "two streets, one web site", company(**SITE, Street="12 Main St"), company(**SITE, Street="7 Oak Rd")),
    (P, "the name is missing in one record", company(**TEL), {**TEL}),
    (P, "renamed, as the notes say, nothing else", company(), company("Zenith Freight", Notes="formerly Acme Logistics Ltd")),
    (P, "a nearly equal tax number alone", company(**TAX), company(**{"VAT ID": "GB123456798"})),
    (N, "two names", company(), company("Zenith Freight")),
    (N, "two names in one house", company(**HOME), company("Zenith Freight", **HOME)),
    (N, "two names behind one switchboard", company(**TEL), company("Zenith Freight", **TEL)),
    (N, "two tax numbers", company(**TAX), company(**{"VAT ID": "GB987654321"})),
    (N, "two names, two tax numbers, one house", company(**TAX, **HOME), company("Zenith", **HOME, **{"VAT ID": "GB987654321"})),
    (N, "branches with their own telephones", company(**SITE, **TEL, **HOME), company(**SITE, **FAR, Phone="0113 4960000")),
    (N, "one name, everything else differs", company(**SITE, **TEL), company(Website="orion.example", Phone="0113 4960000")),
    (N, "a subsidiary, as the notes say", company(**SITE), company("Acme Foods", **SITE, Notes="subsidiary of Acme Logistics Ltd")),
    (
        N,
        "another site, as the notes say",
        company(**SITE, Street="12 Main St"),
        company(**SITE, Street="7 Oak Rd", Notes="branch, head office at 12 Main St"),
    ),
]


@pytest.mark.parametrize(("expected", "a", "b"), [pytest.param(decision, a, b, id=text) for decision, text, a, b in (*PEOPLE, *COMPANIES)])
def test_a_pair_is_decided_as_the_rubric_says_in_either_order(expected, a, b):
    assert decide(a, b) == decide(b, a) == expected


def test_the_table_is_about_people_and_about_companies():
    assert all(compare(a, b).is_person for _, _, a, b in PEOPLE)
    assert not any(compare(a, b).is_person for _, _, a, b in COMPANIES)


@pytest.mark.parametrize("name", ["Notes", "Salutation", "Country", "City", "Shoe size"])
def test_fields_without_weight_do_not_join_two_records(name):
    assert decide(person(**{name: "Wessex"}), person(**{name: "Wessex"})) == P


def test_two_remarks_do_not_make_two_people():
    assert decide(person(Notes="father has the same name"), person(Notes="VIP")) == P


@pytest.mark.parametrize("value", ["keine", "will follow", "ask Tom"])
def test_what_is_no_address_does_not_join_two_records(value):
    assert decide(person(Email=value), person(Email=value)) == P


def test_a_role_inbox_in_the_notes_joins_no_two_people():
    assert decide(person(**INBOX), person(Notes="mail: info@acme.example")) == P


def test_a_new_family_name_is_seen_in_a_full_name_too():
    assert decide({"Name": "Ann Lee", **MAIL}, {"Name": "Ann Ray", **MAIL}) == decide(person(**MAIL), person(last="Ray", **MAIL))


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return list(generate(600, seed=41))


def pair(row: dict) -> tuple[dict, dict]:
    return row["input"]["record_a"], row["input"]["record_b"]


def test_generated_pairs_are_decided_alike_in_either_order(rows):
    assert [row["id"] for row in rows if decide(*pair(row)) != decide(*pair(row)[::-1])] == []


PLACEHOLDERS = st.sampled_from(["n/a", "-", "0000", "test@test.com", "unknown", "TBD", "1900-01-01"])
UNKNOWN = st.text(max_size=20).filter(lambda name: concept_of(name) is None)
FREE = {
    "Email": "email",
    "Mobile": "mobile",
    "DOB": "birth",
    "VAT ID": "tax",
    "Phone": "phone",
    "Website": "website",
    "Suffix": "suffix",
    "Title": "role",
}


@PROPERTY
@given(st.data(), st.booleans())
def test_placeholders_and_unknown_fields_do_not_change_a_decision(rows, data, left):
    a, b = pair(rows[number := data.draw(st.integers(0, len(rows) - 1))])
    side = a if left else b
    name = data.draw(st.sampled_from(list(FREE)) | UNKNOWN, label="field")
    if name in side:
        return
    value = data.draw(PLACEHOLDERS if name in FREE else st.text(max_size=30), label="value")
    more = {name: value, **side} if data.draw(st.booleans()) else {**side, name: value}
    assert by_concept(more) == by_concept(side)
    assert decide(more if left else a, b if left else more) == rows[number]["output"]["decision"]


def test_the_order_of_fields_does_not_change_a_decision(rows):
    rng = random.Random(3)
    for row in rows[:400]:
        a, b = pair(row)
        if all(len(by_concept(record)) == len(record) for record in (a, b)):  # else the first of two fields counts
            mixed = [dict(rng.sample(list(record.items()), len(record))) for record in (a, b)]
            assert decide(*mixed) == row["output"]["decision"]
