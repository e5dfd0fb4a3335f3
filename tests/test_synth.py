"""The generator: the same seed gives the same rows anywhere, and every row is true, fits the schema and is hard enough."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from crm_dedup_plugin.dataset.synth import cases, formats, mistakes
from crm_dedup_plugin.dataset.synth.countries import LOCALES, UNSEEN_LOCALES, Country
from crm_dedup_plugin.dataset.synth.generate import Settings, generate, locale_of
from crm_dedup_plugin.dataset.synth.world import World
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import LABELS, dump, parse
from crm_dedup_plugin.pair.record import check, identity, normalise
from crm_dedup_plugin.policy import rules
from crm_dedup_plugin.policy.evidence import FOUND, compare, shared_domain
from crm_dedup_plugin.policy.fields import SCHEMAS, UNSEEN_SCHEMAS, concept_of
from crm_dedup_plugin.policy.reasoning import is_grounded
from crm_dedup_plugin.policy.values import CLOSE, SAME, digits, relation, script

KINDS = {"full": Settings(), "compact": Settings(compact=True), "unseen": Settings(unseen=True)}
COUNTS = {"full": 3000, "compact": 600, "unseen": 600}
SCRIPT = """
import hashlib, json, sys
from crm_dedup_plugin.dataset.synth.generate import Settings, generate
rows = generate(300, 7, Settings(**json.loads(sys.argv[1])))
print(hashlib.sha256(json.dumps(list(rows)).encode()).hexdigest())
"""


def pair(row: dict) -> tuple[dict, dict]:
    return row["input"]["record_a"], row["input"]["record_b"]


def decision(row: dict) -> str:
    return row["output"]["decision"]


@pytest.fixture(scope="module")
def made(generated) -> dict[str, list[dict]]:
    return {kind: generated(kind, count) for kind, count in COUNTS.items()}


@pytest.fixture(params=KINDS)
def rows(request, made) -> list[dict]:
    return made[request.param]


# -- repeatable ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{}, {"compact": True}, {"unseen": True}], ids=str)
def test_other_processes_make_the_same_rows_whatever_their_hash_seed(kind):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps(kind)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("0", "4242")
    ]
    found = {process.communicate(timeout=120)[0].strip() for process in started}
    here = hashlib.sha256(json.dumps(list(generate(300, 7, Settings(**kind)))).encode()).hexdigest()
    assert found == {here}


def test_fewer_rows_are_the_start_of_more(made):
    for kind, one in KINDS.items():
        assert list(generate(100, seed=7, settings=one)) == made[kind][:100]


def test_another_seed_gives_other_rows(made):
    other = list(generate(300, seed=8))
    keys = [{identity(record) for row in some for record in pair(row)} for some in (made["full"][:300], other)]
    assert len(keys[0] & keys[1]) == 0
    assert [decision(row) for row in other] == [decision(row) for row in made["full"][:300]]


@pytest.mark.parametrize("count", [0, 1, 5, 7])
def test_any_number_of_rows_can_be_had(count):
    assert len(list(generate(count))) == count


# -- true ---------------------------------------------------------------------------------------------------------


def test_every_label_is_what_the_policy_decides(rows):
    assert [row["id"] for row in rows if rules.decide(compare(*pair(row))) != decision(row)] == []


def test_clusters_are_equal_exactly_where_the_records_are_one_entity(rows):
    same = {label: [row["cluster_a"] == row["cluster_b"] for row in rows if decision(row) == label] for label in LABELS}
    assert all(same["DUPLICATE"]) and not any(same["NO_MATCH"])
    assert 0.15 < sum(same["POSSIBLE"]) / len(same["POSSIBLE"]) < 0.95, "a POSSIBLE is sometimes one entity, sometimes two"


def test_every_row_is_what_training_reads(rows):
    for row in rows:
        assert set(row) == {"id", "slice", "cluster_a", "cluster_b", "input", "output"}
        assert all(isinstance(row[key], str) and row[key] for key in ("id", "slice", "cluster_a", "cluster_b"))
        assert set(row["input"]) == {"record_a", "record_b"}
        assert parse(dump(**row["output"])) == tuple(row["output"].values())
        assert is_grounded(row["output"]["reasoning"], *pair(row))


def test_every_record_is_normalised_already(rows):
    bad = [record for row in rows for record in pair(row) if normalise(check(record)) != (record, [])]
    assert bad[:3] == []


def test_ids_are_unique_and_name_their_locale(rows):
    assert len({row["id"] for row in rows}) == len(rows)
    assert {locale_of(row) for row in rows} <= {*LOCALES, *UNSEEN_LOCALES}


def test_a_row_does_not_hold_one_record_twice(rows):
    twice = sum(identity(pair(row)[0]) == identity(pair(row)[1]) for row in rows)
    assert twice / len(rows) < 0.01


def test_records_do_not_repeat(rows):
    seen = Counter(identity(record) for row in rows for record in pair(row))
    assert sum(count - 1 for count in seen.values()) / (2 * len(rows)) < 0.03


# -- varied -------------------------------------------------------------------------------------------------------


def test_each_decision_is_a_third(rows):
    assert set(Counter(map(decision, rows)).values()) == {len(rows) // 3}


def test_every_slice_occurs(made):
    counts = Counter(row["slice"] for row in made["full"])
    written = {name for table in (cases.DECIDED, cases.NOTED) for kind in table.values() for names in kind.values() for name in names}
    assert set(counts) == written and len(counts) >= 15
    assert min(counts.values()) >= 5 and max(counts.values()) / 3000 < 0.15


def test_every_case_in_the_tables_can_be_drawn():
    world = World(0, Country("en_GB", 7), random.Random(7))
    tables = [kind for table in (cases.DECIDED, cases.NOTED) for kind in table.values()] + list(cases.LISTED.values())
    for name in {name for table in tables for names in table.values() for name in names}:
        case = cases.draw(name, world)
        assert case.left and case.right and case.kind in ("person", "company")
    with pytest.raises(UserError, match="unknown case 'nobody': add it"):
        cases.draw("nobody", world)


def test_every_locale_occurs(made):
    found = Counter(map(locale_of, made["full"]))
    assert set(found) == set(LOCALES) and len(found) >= 15
    assert set(map(locale_of, made["unseen"])) == set(UNSEEN_LOCALES)


def test_people_and_companies_occur_under_each_decision(rows):
    kinds = Counter((decision(row), compare(*pair(row)).is_person) for row in rows)
    assert len(kinds) == 6 and min(kinds.values()) >= len(rows) / 3 * 0.3


def test_records_of_other_scripts_occur(made):
    found = {script("".join(record.values())) for row in made["full"] for record in pair(row)}
    assert found >= {"latin", "cyrillic", "greek", "arabic", "han", "hangul"}
    assert {script("".join(record.values())) for row in made["compact"] for record in pair(row)} == {"latin"}


def test_either_record_may_be_the_longer_one(rows):
    longer = [len(pair(row)[0]) - len(pair(row)[1]) for row in rows]
    assert abs(sum(difference > 0 for difference in longer) - sum(difference < 0 for difference in longer)) / len(rows) < 0.08


@pytest.mark.parametrize("label", ["DUPLICATE", "POSSIBLE"])
def test_duplicates_are_rarely_alike_in_every_field(made, label):
    rows = [row for row in made["full"] if decision(row) == label]
    assert sum(set(compare(*pair(row)).relations.values()) == {SAME} for row in rows) / len(rows) < 0.1


def test_at_least_half_of_the_negatives_share_something(made):
    keys = ("first", "last", "name", "company", "street", "phone", "mobile", "email", "website")
    negatives = [compare(*pair(row)) for row in made["full"] if decision(row) == "NO_MATCH"]
    sharing = sum(any(one.get(key) in (SAME, CLOSE, FOUND) for key in keys) or shared_domain(one) for one in negatives)
    assert sharing / len(negatives) >= 0.5


def test_compact_records_are_short_and_full_ones_are_not(made):
    lengths = {kind: sum(len(record) for row in made[kind] for record in pair(row)) / (2 * len(made[kind])) for kind in ("compact", "full")}
    assert lengths["compact"] + 1 < lengths["full"]


# -- unseen -------------------------------------------------------------------------------------------------------


def test_unseen_rows_share_no_locale_and_no_field_name_with_training(made):
    names = {kind: {name for row in made[kind] for record in pair(row) for name in record} for kind in KINDS}
    assert not names["unseen"] & (names["full"] | names["compact"])
    assert not set(LOCALES) & set(UNSEEN_LOCALES)
    assert {name for schema in UNSEEN_SCHEMAS.values() for written in schema.values() for name in written} >= names["unseen"]
    assert {name for schema in SCHEMAS.values() for written in schema.values() for name in written} >= names["full"]
    assert all(concept_of(name) for some in names.values() for name in some)


def test_unseen_rows_share_no_record_with_training(made):
    keys = {kind: {identity(record) for row in made[kind] for record in pair(row)} for kind in KINDS}
    assert not keys["unseen"] & (keys["full"] | keys["compact"])


def test_unseen_mistakes_are_not_among_the_mistakes_of_training():
    trained = {mistake for some in mistakes.IN_CRM.values() for mistake in some}
    assert not trained & set(mistakes.UNSEEN) and len(mistakes.UNSEEN) >= 3


def test_two_generators_at_once_take_nothing_from_each_other():
    alone, (one, other) = list(generate(30, 11)), (generate(30, 11), generate(30, 11))
    assert [row for pair in zip(one, other, strict=True) for row in pair] == [row for row in alone for _ in range(2)]


# -- countries --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["en_US", "de_DE", "ar_SA", "ko_KR", "hu_HU"])
def country(request) -> Country:
    return Country(request.param, 7)


def written(concept: str, value: object, form: int = 0) -> str:
    """Write a canonical value as a clerk with the given habit of telephone numbers does."""
    habits = formats.Habits(random.Random(1), SCHEMAS["salesforce"], True, False)
    habits.phone = form
    return formats.text(concept, value, habits)


@pytest.mark.parametrize("kind", ["mobile", "fixed"])
def test_no_telephone_number_is_given_out_twice(country, kind):
    numbers = [digits(written("phone", country.phone(kind))) for _ in range(3000)]
    assert len(set(numbers)) == len(numbers)


def test_no_tax_number_and_no_full_name_is_given_out_twice(country):
    taxes = [country.tax() for _ in range(3000)]
    assert len(set(taxes)) == len(taxes)
    drawn = [(last, first) for last, given in (country.family() for _ in range(len(country.last))) for first in dict.fromkeys(given)]
    assert len(set(drawn)) == len(drawn)


def test_the_ways_to_write_a_number_are_one_number(country):
    for _ in range(200):
        number = country.phone("mobile")
        texts = [written("mobile", number, form) for form in range(4)]
        assert {relation("phone", one, other) for one in texts for other in texts} == {SAME}, texts


def test_addresses_have_what_a_record_needs(country):
    rng = random.Random(1)
    for _ in range(50):
        address = country.address(rng)
        assert set(address) == {"street", "city", "postcode", "country"} and all(value.strip() for value in address.values())
