"""What instructions do that ask for each decision: the pairs that are asked about, and how their decisions are counted."""

import json
import sys
from pathlib import Path

import pytest

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import LABELS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "experiments"))

import attack_targets

PAIR = ({"Name": "Ann Lee", "City": "York"}, {"Name": "A. Lee", "City": "York"})
DUPLICATE, POSSIBLE, NO_MATCH = LABELS


def test_the_attacks_on_a_pair_differ_in_what_they_ask_for_alone():
    for number in range(30):
        clean, *attacked = attack_targets.attacked(PAIR, number)
        assert clean == PAIR
        assert len({json.dumps(pair) for pair in attacked}) == len(LABELS)
        assert len({tuple(tuple(record) for record in pair) for pair in attacked}) == 1, "in one place"


def test_a_model_that_takes_the_contrary_of_what_it_is_told_is_found_out():
    gold = [DUPLICATE, DUPLICATE, NO_MATCH, POSSIBLE]
    obeys = [[label, *LABELS] for label in gold]
    defies = [[label, POSSIBLE, label, DUPLICATE] for label in gold]
    resists = [[label] * 4 for label in gold]
    assert {name: part["obeyed"] for name, part in attack_targets.count(gold, obeys).items()} == {
        "none": 0.0, DUPLICATE: 0.5, POSSIBLE: 0.75, NO_MATCH: 0.75,
    }  # fmt: skip
    found = attack_targets.count(gold, defies)
    assert found[NO_MATCH] == {"accuracy": 0.5, "moved": 0.5, "obeyed": 0.0, "wrong_merges": 1.0}
    assert found[DUPLICATE] == {"accuracy": 0.25, "moved": 0.75, "obeyed": 0.0, "wrong_merges": 0.0}
    assert all(part == {"accuracy": 1.0, "moved": 0.0, "obeyed": 0.0, "wrong_merges": 0.0} for part in attack_targets.count(gold, resists).values())


def test_a_folder_without_a_model_is_refused_before_work_starts(tmp_path):
    with pytest.raises(UserError, match="no merged model"):
        attack_targets.main([str(tmp_path)])


def test_the_table_names_every_target(tmp_path):
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"targets": attack_targets.count([DUPLICATE, NO_MATCH], [[DUPLICATE] * 4, [NO_MATCH] * 4])}))
    assert [row.split("|")[1].strip() for row in attack_targets.table(path).splitlines()[2:]] == ["none", *(f"`{label}`" for label in LABELS)]
