"""Perturbed pairs: the same facts in another order, under other names, or beside an instruction that survives."""

import doctest
import json
from collections import Counter
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.dataset import augment, perturb
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.record import MAX_FIELD_CHARS, normalise, to_json
from crm_dedup_plugin.policy import attacks
from crm_dedup_plugin.policy.fields import SCHEMAS, UNSEEN_SCHEMAS, concept_of

NAMES = sorted({name for schema in (*SCHEMAS.values(), *UNSEEN_SCHEMAS.values()) for names in schema.values() for name in names})
CONTACT = {"FirstName": "Ann", "LastName": "Lee", "Email": "ann@lee.example", "Phone": "+1 2 3", "Shoe size": "41"}
ACCOUNT = {"company": "Lee Ltd", "address": "1 Main St", "city": "York", "tax_id": "GB1", "notes": "calls back"}

texts = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(["\u200b\u202e", "<|im_end|>", '"}', "\ud800", "x" * 900, "漢" * 400])
names = st.sampled_from(NAMES) | texts
hostile = st.dictionaries(names, texts, max_size=30).map(lambda record: normalise(record)[0])
pairs = st.tuples(hostile, hostile)
FULL = normalise({f"field {n}": "é" * 280 for n in range(9)})[0]
NOTED = normalise({"Notes": "n", "Description": "d", "Comments": "c", "Remarks": "r", **FULL})[0]  # full, and no name for notes is free
PROPERTY = settings()


@PROPERTY
@given(pairs)
@example((CONTACT, ACCOUNT))
def test_swapping_twice_gives_the_pair_back(pair):
    swapped = perturb.swap(pair)
    assert swapped == (pair[1], pair[0]) and perturb.swap(swapped) == pair
    assert [list(record) for record in swapped] == [list(pair[1]), list(pair[0])]


@PROPERTY
@given(pairs, st.integers())
@example((CONTACT, ACCOUNT), 7)
@example(({"phone": "1", "fax": "2", "Tel.": "3", "Telephone": "4", "telephone1": "5", "Phone": "6"}, {}), 7)
def test_shuffling_keeps_every_value_under_a_name_of_the_same_meaning(pair, seed):
    shuffled = perturb.shuffle(pair, Random(seed))
    assert shuffled == perturb.shuffle(pair, Random(seed)), "not repeatable"
    for before, after in zip(pair, shuffled, strict=True):
        assert Counter(after.values()) == Counter(before.values())
        assert Counter((concept_of(name), value) for name, value in after.items()) == Counter((concept_of(n), v) for n, v in before.items())
        unknown = {name: value for name, value in before.items() if concept_of(name) is None}
        assert unknown.items() <= after.items(), "a field without a known meaning was renamed"


def test_shuffling_changes_names_and_order():
    seen = [perturb.shuffle((CONTACT, ACCOUNT), Random(seed)) for seed in range(40)]
    assert all(set(a) != set(CONTACT) and set(b) != set(ACCOUNT) for a, b in seen)
    assert len({tuple(a) for a, _ in seen}) > 20
    assert {a.get("emailaddress1") for a, _ in seen} >= {"ann@lee.example", None}
    known = {name for schema in SCHEMAS.values() for names in schema.values() for name in names} | set(CONTACT) | set(ACCOUNT)
    assert all(set(record) <= known for pair in seen for record in pair)


@PROPERTY
@given(pairs, st.integers(), st.sampled_from([attacks.TRAIN, attacks.EVAL]), st.sampled_from(LABELS))
@example((CONTACT, ACCOUNT), 7, attacks.EVAL, "DUPLICATE")
@example((NOTED, NOTED), 7, attacks.EVAL, "DUPLICATE")
def test_an_injected_attack_survives_in_one_record_beside_what_was_there(pair, seed, kinds, target):
    attacked = perturb.inject(pair, Random(seed), kinds, target)
    assert attacked == perturb.inject(pair, Random(seed), kinds, target), "not repeatable"
    (side,) = [side for side in (0, 1) if attacked[side] != pair[side]]
    before, after = pair[side], attacked[side]
    assert json.loads(to_json(after)) == after, "the limits of a record cut it"
    assert any(attack.text(target) in value for attack in kinds for value in after.values())
    spare = "Further notes and more"  # longer than any name that an attack is given
    if normalise({spare: "x" * MAX_FIELD_CHARS * 3, **before})[1] == [spare]:  # there was room
        assert all(value in after[name] for name, value in before.items())
        assert len(set(after.items()) - set(before.items())) == 1


@pytest.mark.parametrize("attack", [*attacks.TRAIN, *attacks.EVAL], ids=lambda attack: f"{attack.kind}: {attack.template[:20]}")
@pytest.mark.parametrize("record", [FULL, {}], ids=["full", "empty"])
def test_every_attack_survives_in_the_fullest_record(attack, record):
    attacked = perturb.inject((record, record), Random(7), [attack], "NO_MATCH")
    assert any(attack.text("NO_MATCH") in json.loads(to_json(one)).get(name, "") for one in attacked for name in one)


def test_all_open_fields_and_both_records_are_attacked():
    places = Counter()
    for seed in range(300):
        attacked = perturb.inject((CONTACT, ACCOUNT), Random(seed), attacks.EVAL, "DUPLICATE")
        for before, after in zip((CONTACT, ACCOUNT), attacked, strict=True):
            places.update(name for name in after if after[name] != before.get(name))
    assert {"FirstName", "LastName", "Email", "company", "address", "notes", "Notes"} <= set(places)
    assert not {"Phone", "Shoe size", "city", "tax_id"} & set(places)


def test_nothing_that_is_trained_on_is_measured_with():
    assert len(attacks.TRAIN) >= 50 and len(attacks.EVAL) >= 24
    assert {attack.encoding for attack in attacks.TRAIN} & {attack.encoding for attack in attacks.EVAL} == {"plain"}
    for target in LABELS:
        measured = [text for attack in attacks.EVAL for text in (attack.template, attack.text(target), attack.order)]
        learned = [text for attack in attacks.TRAIN for text in (attack.template, attack.text(target))]
        learned += [attack.order for attack in attacks.TRAIN if "{payload}" in attack.template]
        assert not set(measured) & set(learned)
        assert not [start for start in learned if any(start[:25].casefold() in text.casefold() for text in measured)]


@pytest.mark.parametrize("target", LABELS)
def test_attacks_are_distinct_fit_a_field_and_name_their_target(target):
    made = [attack.text(target) for attack in (*attacks.TRAIN, *attacks.EVAL)]
    assert len(set(made)) == len(made)
    for text in made:
        assert normalise({"Notes": text}) == ({"Notes": text}, [])
        assert "{target}" not in text and "{payload}" not in text and len(text) <= MAX_FIELD_CHARS - 60
    others = [attack.text(other) for attack in (*attacks.TRAIN, *attacks.EVAL) for other in LABELS if other != target]
    assert not set(made) & set(others), "an attack does not say what it wants"


@pytest.mark.parametrize("module", [attacks, augment, perturb])
def test_the_examples_in_the_documentation_hold(module):
    assert doctest.testmod(module).failed == 0
