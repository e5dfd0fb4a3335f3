"""How two values compare: formats do not matter, different people and companies do, and no text is too strange."""

import doctest

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.policy import names, values
from crm_dedup_plugin.policy.fields import CONCEPTS
from crm_dedup_plugin.policy.names import company_parts, is_role_inbox
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME, UNCLEAR, dates, digits, relation, script

PROPERTY = settings()
AGREEING = {SAME, CLOSE}
COMPATIBLE = {SAME, CLOSE, UNCLEAR}

PHONES = [
    (SAME, "+44 20 7946 0958", "(020) 7946-0958"),
    (SAME, "+44 (0)20 7946 0958", "+44 20 7946 0958"),
    (SAME, "0044 20 7946 0958", "020 7946 0958"),
    (SAME, "+442079460958", "020.7946.0958"),
    (SAME, "+7 495 123-45-67", "8 (495) 123-45-67"),
    (SAME, "+39 02 1234567", "02 1234567"),
    (SAME, "+1 415 555 0134", "(415) 555-0134"),
    (SAME, "+1 415 555 0134 ext. 22", "415-555-0134"),
    (SAME, "+49 30 901820 x12", "030 901820"),
    (SAME, "+41 44 668 18 00 Durchwahl 12", "044 668 18 00"),
    (SAME, "٠١٢٣٤٥٦٧٨٩", "0123456789"),
    (CLOSE, "+1 415 555 0134", "+1 415 555 0143"),
    (CLOSE, "+1 415 555 0134", "+1 415 555 0135"),
    (DIFFERS, "+1 415 555 0134", "+1 415 555 9876"),
    (DIFFERS, "+49 30 1234567", "+43 1 7654321"),
    (DIFFERS, "110", "112"),
    (DIFFERS, "call me", "on Monday"),
]
EMAILS = [
    (SAME, "j.smith+crm@x.example", "J.Smith@X.example"),
    (SAME, " ann@x.example", "ann@x.example "),
    (SAME, "ann+a@x.example", "ann+b@x.example"),
    (CLOSE, "john.smith@gmail.com", "john.smith@gmial.com"),
    (CLOSE, "john.smith@x.com", "john.smith@x.co"),
    (CLOSE, "john.smith@x.example", "john.smiht@x.example"),
    (DIFFERS, "john.smith@x.example", "jane.smith@x.example"),
    (DIFFERS, "smith1@gmail.com", "smith2@gmail.com"),
    (DIFFERS, "ann@gmail.com", "ann@web.de"),
    (DIFFERS, "ann@x.example", "bob@x.example"),
    (DIFFERS, "ann.lee@x.example", "ann.lee@other-firm.example"),
]
DATES = [
    (SAME, "1980-03-04", "04.03.1980"),
    (SAME, "1980-04-03", "03/04/1980"),  # 3 April or 4 March: it may be meant
    (SAME, "1980-03-04", "03/04/1980"),
    (SAME, "3 Apr 1980", "1980-04-03"),
    (SAME, "Apr 3, 1980", "03.04.1980"),
    (SAME, "3rd April 1980", "19800403"),
    (SAME, "13/04/1980", "04/13/1980"),
    (SAME, "1980/4/3", "3.4.80"),
    (CLOSE, "1980-03-05", "1980-05-03"),
    (CLOSE, "1980-04-13", "1980-04-14"),
    (CLOSE, "1980", "1980-04-13"),
    (DIFFERS, "1980-04-13", "1975-11-02"),
    (DIFFERS, "1980-04-13", "in spring"),
    (DIFFERS, "1980-04-13", "1957"),
]
GIVEN = [
    (SAME, "José", "Jose"),
    (SAME, "Müller", "MULLER"),
    (SAME, "Dr. Ann", "Ann"),
    (SAME, "Иван", "Ivan"),
    (SAME, "Γιώργος", "Giorgos"),
    (SAME, "민수", "Minsu"),
    (SAME, "伟", "Wei"),
    (CLOSE, "Müller", "Mueller"),
    (CLOSE, "Bill", "William"),
    (CLOSE, "Peggy", "Margaret"),
    (CLOSE, "Bob", "Robert"),
    (CLOSE, "Sasha", "Aleksandr"),
    (CLOSE, "Hans", "Johannes"),
    (CLOSE, "J.", "John"),
    (CLOSE, "M.", "Michael"),
    (CLOSE, "Don", "Donald"),
    (CLOSE, "Александр", "Alexander"),
    (CLOSE, "محمد", "Mohammed"),
    (CLOSE, "فاطمة", "Fatima"),
    (CLOSE, "Jonathan", "Jonahtan"),
    (CLOSE, "Maria", "María José"),
    (UNCLEAR, "田中", "Tanaka"),
    (DIFFERS, "Daniel", "Daniela"),
    (DIFFERS, "Mario", "Maria"),
    (DIFFERS, "Simon", "Simone"),
    (DIFFERS, "Paul", "Paula"),
    (DIFFERS, "Jean", "Jeanne"),
    (DIFFERS, "Carlos", "Carla"),
    (DIFFERS, "Bob", "Bill"),
    (DIFFERS, "K.", "John"),
    (DIFFERS, "Mr", "Ms"),
    (DIFFERS, "Иван", "Sergei"),
    (DIFFERS, "محمد", "Khaled"),
]
FAMILY = [
    (SAME, "O'Brien", "OBrien"),
    (SAME, "王", "Wang"),
    (CLOSE, "O'Brien", "O Brien"),
    (CLOSE, "Smith-Jones", "Jones Smith"),
    (CLOSE, "Smith-Jones", "Smith"),
    (CLOSE, "van der Berg", "Vanderberg"),
    (CLOSE, "Παπαδόπουλος", "Papadopoulos"),
    (CLOSE, "العتيبي", "Al-Otaibi"),
    (UNCLEAR, "박", "Park"),
    (UNCLEAR, "鈴木", "Suzuki"),
    (DIFFERS, "Smith", "Jones"),
    (DIFFERS, "Иванов", "Petrov"),
]
FULL = [
    (SAME, "Ann Lee", "Lee, Ann"),
    (SAME, "Dr. Ann Lee", "ann LEE"),
    (SAME, "Иван Петров", "Ivan Petrov"),
    (CLOSE, "Ann Lee", "Ann Marie Lee"),
    (CLOSE, "A. Lee", "Ann Lee"),
    (CLOSE, "Bill Gates", "Gates, William"),
    (CLOSE, "محمد العتيبي", "Mohammed Al-Otaibi"),
    (CLOSE, "김민수", "Kim Min-su"),
    (CLOSE, "王伟", "Wang Wei"),
    (UNCLEAR, "Lee", "Ann Lee"),
    (DIFFERS, "Ann Lee", "Bob Lee"),
    (DIFFERS, "Ann Lee", "Ann Smith"),
    (DIFFERS, "Ann A", "Ann B"),
    (DIFFERS, "Daniel Costa", "Daniela Costa"),
]
COMPANIES = [
    (SAME, "Acme Ltd", "ACME Limited"),
    (SAME, "Acme GmbH", "Acme G.m.b.H."),
    (SAME, "Acme", "Acme GmbH"),
    (SAME, "A.C.M.E. Inc.", "ACME"),
    (SAME, "Acme & Sons", "Acme and Sons"),
    (SAME, "The Body Shop", "Body Shop"),
    (SAME, "Sun Energy SA", "Sun Energy S.A."),
    (SAME, "Meridian Foods sp. z o.o.", "Meridian Foods"),
    (SAME, "ООО Газпром", "Gazprom"),
    (CLOSE, "Acme Ltd", "Acme GmbH"),
    (CLOSE, "International Business Machines", "IBM"),
    (CLOSE, "Acme Logistics", "Acme Log"),
    (CLOSE, "Acme Logistics", "Acme Logistcs"),
    (CLOSE, "Müller Bau", "Mueller Bau"),
    (CLOSE, "Acme Logistics GmbH", "Acme GmbH"),
    (UNCLEAR, "株式会社トヨタ", "Toyota K.K."),
    (DIFFERS, "Acme Europe", "Acme America"),
    (DIFFERS, "Bank of America", "Bank of China"),
    (DIFFERS, "Acme Ltd", "Zenith Ltd"),
    (DIFFERS, "The", "Co"),
]
STREETS = [
    (SAME, "Main Street 12", "12 Main St."),
    (SAME, "Hauptstr. 5", "Hauptstraße 5"),
    (SAME, "Hauptstr. 5", "HAUPTSTRASSE 5"),
    (SAME, "Rue de la Paix 3", "3 rue de la Paix"),
    (SAME, "Calle Mayor 4", "C. Mayor 4"),
    (SAME, "ул. Ленина 5", "ul. Lenina 5"),
    (CLOSE, "Main Street", "Main Street 12"),
    (CLOSE, "12 Main St", "12 Mian St"),
    (DIFFERS, "Hauptstr. 5", "Hauptstr. 7"),
    (DIFFERS, "Main Street 12", "Oak Street 12"),
]
TAXES = [
    (SAME, "DE123456789", "DE 123.456.789"),
    (SAME, "DE123456789", "123456789"),
    (SAME, "12-3456789", "123456789"),
    (CLOSE, "DE123456789", "DE123456798"),
    (CLOSE, "DE123456789", "DE123456788"),
    (DIFFERS, "DE123456789", "AT123456789"),
    (DIFFERS, "DE123456789", "DE987654321"),
    (DIFFERS, "нет", "неизвестно"),
    (DIFFERS, "GB1", "1"),
]
OTHERS = [
    ("website", SAME, "https://www.acme.example/", "acme.example"),
    ("website", SAME, "ACME.example/about?x=1", "http://acme.example"),
    ("website", CLOSE, "acme.com", "acme.de"),
    ("website", DIFFERS, "acme.com", "zenith.com"),
    ("postcode", SAME, "SW1A 1AA", "sw1a1aa"),
    ("postcode", CLOSE, "80331", "80313"),
    ("postcode", DIFFERS, "80331", "10115"),
    ("city", SAME, "Köln", "KOLN"),
    ("city", SAME, "Москва", "Moskva"),
    ("city", CLOSE, "München", "Muenchen"),
    ("city", DIFFERS, "York", "Leeds"),
    ("role", CLOSE, "Head of Sales", "Sales Head"),
    ("role", DIFFERS, "CEO", "CFO"),
]
TABLE = [
    *((concept, *row) for concept, rows in (("phone", PHONES), ("mobile", PHONES), ("email", EMAILS), ("birth", DATES)) for row in rows),
    *((concept, *row) for concept, rows in (("first", GIVEN), ("last", FAMILY), ("name", FULL), ("company", COMPANIES)) for row in rows),
    *((concept, *row) for concept, rows in (("street", STREETS), ("tax", TAXES)) for row in rows),
    *OTHERS,
]

CONCEPT = st.sampled_from([*CONCEPTS, "unheard of"])
TOKENS = """jan Feb 1980 13 4 gmbh ltd co the and & www. http:// mr Dr. n/a x12 ext.4 @ + ann Anna lee str Иван 王 伟 김 محمد IBM ab III ١٩٨٠ ½
\u200b \u202e \ud800 \ufb01 \u0301 \U0001f600 \u2028 \x00 İ ß ² Ⅷ""".split()
hostile = st.one_of(
    st.text(st.characters(codec=None), max_size=40),
    st.lists(st.sampled_from([*TOKENS, " ", "-", ".", ",", "/", ""]), max_size=8).map("".join),
    st.lists(st.sampled_from(TOKENS), max_size=6).map(" ".join),
    st.sampled_from(["", " ", "\ud800", "9" * 300, "漢" * 300, "a " * 150, "@", "@@", "+", "https://", "0" * 300]),
)


@pytest.mark.parametrize(("concept", "expected", "a", "b"), TABLE)
def test_two_values_compare_as_a_steward_would_say_in_either_order(concept, expected, a, b):
    assert relation(concept, a, b) == relation(concept, b, a) == expected


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_value_is_the_same_as_itself(concept):
    assert all(relation(concept, text, text) == SAME for text in TOKENS)


@PROPERTY
@given(CONCEPT, hostile, hostile)
@example("birth", "9" * 300, "1980-01-01")
@example("company", "", "GmbH")
@example("street", "str", "")
@example("name", ",", "Lee,")
def test_any_two_texts_have_one_relation_whatever_their_order(concept, a, b):
    found = relation(concept, a, b)
    assert found in (SAME, CLOSE, DIFFERS, UNCLEAR)
    assert relation(concept, b, a) == found


@PROPERTY
@given(hostile)
def test_the_readers_of_single_values_take_any_text(text):
    assert all(letter in "0123456789" for letter in digits(text))
    words, forms = company_parts(text)
    assert all(words) and isinstance(forms, frozenset)
    assert all(1 <= month <= 12 and 1 <= day <= 31 for _, month, day in dates(text))
    assert script(text) and is_role_inbox(text) in (True, False)


@PROPERTY
@given(st.integers(10**8, 10**9 - 1), st.sampled_from(["+44{n}", "0{n}", "0044 {n}", "(0){n}", "{n} ext 12", "+44 (0){n}"]))
def test_the_way_a_number_is_written_does_not_matter(number, form):
    assert relation("phone", form.format(n=number), str(number)) == SAME


@PROPERTY
@given(st.dates(), st.dates(), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y", "%Y%m%d"]))
def test_a_date_is_the_same_in_every_format_and_differs_from_another_year(day, other, form):
    if min(day.year, other.year) < 1900:
        day, other = (
            day.replace(year=1900 + day.year % 100, day=min(day.day, 28)),
            other.replace(year=1900 + other.year % 100, day=min(other.day, 28)),
        )
    written = day.strftime(form)
    assert relation("birth", day.isoformat(), written) == SAME
    if day.year != other.year:
        assert relation("birth", other.isoformat(), written) != SAME


def test_a_nickname_is_close_in_both_directions_and_between_two_people_of_one_name_only():
    for whole, short in (("william", "bill"), ("margaret", "peggy"), ("dmitri", "dima"), ("francisco", "paco")):
        assert short in names.short_forms(whole)
        assert relation("first", whole, short) == relation("first", short, whole) == CLOSE


@pytest.mark.parametrize(("a", "b"), [("Alexander", "Alexandra"), ("Christian", "Christina"), ("Stefan", "Stefanie"), ("Patrick", "Patricia")])
@pytest.mark.xfail(reason="feminine forms that are more than one ending away pass for typing errors", strict=True)
def test_the_masculine_and_the_feminine_form_of_a_name_are_two_people(a, b):
    assert relation("first", a, b) == DIFFERS


@pytest.mark.parametrize(
    "script_of", [("Иван", "cyrillic"), ("Ann", "latin"), ("José", "latin"), ("王", "han"), ("김", "hangul"), ("علي", "arabic"), ("", "latin")]
)
def test_a_script_is_told_by_its_letters(script_of):
    assert script(script_of[0]) == script_of[1]


def test_the_examples_in_the_docstrings_hold():
    for module in (values, names):
        assert doctest.testmod(module).failed == 0
