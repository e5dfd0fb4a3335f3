"""What a column is: real headers of seven CRMs, any style of writing, any text at all; and the vocabularies that say so."""

import doctest
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.policy import attacks, fields, vocabulary
from crm_dedup_plugin.policy.fields import CONCEPTS, SCHEMAS, UNSEEN_SCHEMAS, Kind, by_concept, concept_of, is_placeholder, kind_of
from crm_dedup_plugin.policy.vocabulary import load

PROPERTY = settings()
KINDS = {"none": Kind.ATTRIBUTE, "entity": Kind.ENTITY_ID, "system": Kind.SYSTEM_ID, "else": Kind.SOMEBODY_ELSE, "admin": Kind.ADMINISTRATION}
HEADERS = [
    (crm, header, expected)
    for crm, table in yaml.load(Path(__file__).with_name("headers.yml").read_text(encoding="utf-8"), yaml.BaseLoader).items()
    for expected, headers in table.items()
    for header in headers
]


def read(name: str) -> tuple[Kind, str | None]:
    return kind_of(name), concept_of(name)


@pytest.mark.parametrize("crm", dict.fromkeys(crm for crm, *_ in HEADERS))
def test_real_headers_are_read_as_what_they_are(crm):
    wrong = []
    for _, header, expected in (row for row in HEADERS if row[0] == crm):
        right = KINDS.get(expected, Kind.ENTITY_ID if expected == "tax" else Kind.ATTRIBUTE), None if expected in KINDS else expected
        if read(header) != right:
            wrong.append((header, right, read(header)))
    assert wrong == []


def test_the_headers_of_seven_crms_are_there():
    crms = dict.fromkeys(crm.split()[0] for crm, *_ in HEADERS)
    assert {*crms} >= {"salesforce", "hubspot", "dynamics", "pipedrive", "zoho", "google", "outlook"}
    assert len(HEADERS) > 800 and all(expected in {*CONCEPTS, *KINDS} for *_, expected in HEADERS)


def styles(words: list[str]) -> list[str]:
    """Return the words as snake, screaming, kebab, spaced, titled, shouted, camel and Pascal case."""
    titled = [word.capitalize() for word in words]
    joined = ("_".join(words), "_".join(words).upper(), "-".join(words), " ".join(words), " ".join(titled), " ".join(words).upper())
    return [*joined, words[0] + "".join(titled[1:]), "".join(titled)]


@pytest.mark.parametrize("crm", dict.fromkeys(crm for crm, *_ in HEADERS))
def test_the_style_of_writing_does_not_change_what_a_header_is(crm):
    plain = [header for other, header, _ in HEADERS if other == crm and re.fullmatch(r"[A-Za-z]{2,}( (- )?[A-Za-z]{2,})*", header)]
    split = [(header, header.lower().replace(" - ", " ").split()) for header in plain if header == header.capitalize() or " " in header]
    assert split
    assert [(style, read(header), read(style)) for header, words in split for style in styles(words) if read(style) != read(header)] == []


WORDS = sorted({word for _, header, _ in HEADERS for word in re.findall(r"\w+", header)})
name_like = st.text(st.characters(codec=None), max_size=60) | st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@given(st.lists(st.sampled_from([word.lower() for word in WORDS if re.fullmatch("[A-Za-z]{3,}", word)]), min_size=1, max_size=4))
@PROPERTY
def test_any_words_mean_the_same_in_snake_and_spaces_and_capitals(words):
    assert len({read(style) for style in styles(words)[:6]}) == 1


def test_a_column_without_a_concept_is_no_evidence():
    for header in (header for _, header, expected in HEADERS if expected in KINDS):
        assert by_concept({header: "Ann Lee", "Email": "ann@x.example"}) == {"email": "ann@x.example"}, header


@pytest.mark.parametrize("value", ["n/a", "N/A ", "test@test.com", "0000", "000-000", "(000) 000", "Unknown", "-", "1900-01-01", "", "  "])
def test_what_only_fills_a_field_is_a_placeholder(value):
    assert is_placeholder(value) and by_concept({"Email": value, "Name": "Ann"}) == {"name": "Ann"}


@pytest.mark.parametrize("value", ["ann@x.example", "Ann", "0301234567", "N. A. Lee", "1980-01-01", "Nana"])
def test_a_real_value_is_no_placeholder(value):
    assert not is_placeholder(value)


@pytest.mark.parametrize("schema", [*SCHEMAS, *UNSEEN_SCHEMAS])
def test_every_field_name_of_a_schema_means_its_concept(schema):
    for concept, written in {**SCHEMAS, **UNSEEN_SCHEMAS}[schema].items():
        assert [concept_of(name) for name in written] == [concept] * len(written)
        assert [concept_of(name.upper()) for name in written] == [concept] * len(written)


def test_every_schema_names_every_concept():
    assert all(set(schema) == set(CONCEPTS) for schema in (*SCHEMAS.values(), *UNSEEN_SCHEMAS.values()))


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("e_mail_2", "email"),
        ("Handy", "mobile"),
        ("birthplace", "city"),
        ("Firmenname", "company"),
        ("cust_fname", "first"),
        ("Kundennachname", "last"),
    ]
    + [
        ("VAT", "tax"),
        ("zip_code", "postcode"),
        ("Home address", "street"),
        ("site_name", "company"),
        ("Colour", None),
        ("Id", None),
        ("状態", None),
    ],
)
def test_names_that_no_schema_has_are_read_by_their_words(name, concept):
    assert concept_of(name) == concept


@pytest.mark.parametrize(
    "name",
    """MailingState HasOptedOutOfEmail EmailBouncedDate PreferredContactMethod LastContacted ContactOwner FirstConversion AccountId AccountType
    hotel""".split(),
)
def test_administrative_fields_are_no_names_and_no_addresses(name):
    assert concept_of(name) is None


@given(name_like, st.text(st.characters(codec=None), max_size=40))
@example("\ud800", "\ud800")
@example("İ", "x")
@PROPERTY
def test_any_column_name_and_value_can_be_read(name, value):
    assert concept_of(name) in {*CONCEPTS, None} and kind_of(name) in Kind
    assert concept_of(name) is None or kind_of(name) in (Kind.ATTRIBUTE, Kind.ENTITY_ID)
    assert by_concept({name: value}) in ({}, {concept_of(name): value})


# -- the vocabularies -----------------------------------------------------------------------------------------------------


def test_every_vocabulary_says_what_it_is_for():
    files = sorted(vocabulary.FOLDER.glob("*.yml"))
    assert len(files) >= 9
    assert [path.name for path in files if not path.read_text(encoding="utf-8").startswith("# ")] == []


@pytest.mark.parametrize(
    ("text", "shape", "error"),
    [
        ("a: [x, y]\nb: x\n", {str: [str]}, "line 2: expected a list"),
        ("a: [x]\nb: [x, [y]]\n", {str: [str]}, "line 2: expected a text"),
        ("- a\n- \n", [str], "line 2: an entry is empty"),
        ("- a: x\n", [str], "line 1: expected a text"),
        ("a: [x]\nb: [y]\na: [z]\n", {str: [str]}, "line 3: 'a' stands there twice"),
        ("a: x\nc: y\n", {"a": str, "b?": str}, "line 2: unknown key 'c': use one of a, b"),
        ("b: y\n", {"a": str, "b?": str}, "the key 'a' is missing"),
        ("a: [x\nb: y\n", {str: str}, "not YAML"),
        ("", [str], "line 1: expected a list"),
        ("a: x\nb: '(x'\n", {str: re.Pattern}, "line 2: '(x' is no regular expression"),
    ],
)
def test_a_malformed_entry_is_named_with_its_file_its_line_and_the_cure(tmp_path, text, shape, error):
    (tmp_path / "words.yml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as raised:
        load("words", shape, tmp_path)
    assert error in str(raised.value) and str(tmp_path / "words.yml") in str(raised.value)


def test_every_entry_is_text_and_keeps_its_order(tmp_path):
    (tmp_path / "words.yml").write_text("[163, no, 1900-01-01, 0000, 'n/a', on]\n", encoding="utf-8")
    assert load("words", [str], tmp_path) == ("163", "no", "1900-01-01", "0000", "n/a", "on")


def test_an_attack_asks_for_each_decision_in_its_encoding():
    assert not {attack.template for attack in attacks.TRAIN} & {attack.template for attack in attacks.EVAL}
    for attack in (*attacks.TRAIN, *attacks.EVAL):
        texts = {attack.text(label) for label in ("DUPLICATE", "POSSIBLE", "NO_MATCH")}
        assert len(texts) == 3 and not any("{target}" in text or "{payload}" in text for text in texts)
    assert {attack.encoding for attack in (*attacks.TRAIN, *attacks.EVAL)} == set(attacks.ENCODINGS)


def test_the_examples_in_the_docstrings_hold():
    for module in (fields, vocabulary, attacks):
        assert doctest.testmod(module).failed == 0
