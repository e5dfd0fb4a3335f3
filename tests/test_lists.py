"""Pairs from lists that are no CRM: right labels, real mistakes, and added to training without touching what is held out."""

import json
import random

import pytest

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset.synth import cases, mistakes
from crm_dedup_plugin.dataset.synth.countries import countries
from crm_dedup_plugin.dataset.synth.generate import Dice, worlds
from crm_dedup_plugin.dataset.synth.lists import LISTS, generate
from crm_dedup_plugin.pair.files import read_rows
from crm_dedup_plugin.pair.record import normalise
from crm_dedup_plugin.policy.attacks import EVAL
from crm_dedup_plugin.policy.identity import identities


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return list(generate(900, seed=5))


def test_equal_seeds_give_equal_rows_and_fewer_are_the_start_of_more(rows):
    assert list(generate(60, seed=5)) == rows[:60]
    assert list(generate(60, seed=6)) != rows[:60]


def test_every_row_can_be_trained_on(rows, tmp_path):
    path = tmp_path / "lists.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept, cut = read_rows(path)
    assert kept == rows and not cut
    assert all(normalise(record) == (record, []) for row in rows for record in row["input"].values())


def test_labels_are_the_truth_or_possible(rows):
    for row in rows:
        same, decision = row["cluster_a"] == row["cluster_b"], row["output"]["decision"]
        assert decision in ("POSSIBLE", "DUPLICATE" if same else "NO_MATCH")
        assert row["input"]["record_a"] != row["input"]["record_b"]
    possible = [row for row in rows if row["output"]["decision"] == "POSSIBLE"]
    assert 0 < len(possible) < 0.1 * len(rows)


def test_half_of_the_pairs_are_one_entity_and_every_list_occurs_with_both(rows):
    assert sum(row["cluster_a"] == row["cluster_b"] for row in rows) == len(rows) / 2
    names = {f"list_{write.__name__}" for write in LISTS}
    for decision in ("DUPLICATE", "NO_MATCH"):
        assert {row["slice"] for row in rows if row["output"]["decision"] == decision} == names


def values(row: dict, *columns: str) -> list[set[str]]:
    """Return what each record of a pair holds in these columns, whatever the letters."""
    return [{value.casefold() for name, value in record.items() if name in columns} for record in row["input"].values()]


def test_entries_of_one_entity_age_and_those_of_two_may_agree(rows):
    phones, codes = ("phone", "Phone", "telephone"), ("postcode", "zip", "Zip", "postal_code")

    def share(same: bool, agreeing: bool, *columns: str) -> float:
        pairs = [values(row, *columns) for row in rows if (row["cluster_a"] == row["cluster_b"]) == same]
        known = [(a, b) for a, b in pairs if a and b]
        return sum((digits(a) == digits(b)) == agreeing for a, b in known) / len(known)

    def digits(found: set[str]) -> str:
        return "".join(sign for sign in "".join(sorted(found)) if sign.isalnum())[-5:]

    assert 0.05 < share(True, False, *phones) < 0.5 and 0.05 < share(True, False, *codes) < 0.5
    assert share(False, True, *phones) > 0.1 and share(False, True, *codes) > 0.1


def test_a_source_may_have_a_birth_or_a_given_name_wrong_altogether(rows):
    people = [row for row in rows if row["slice"] == "list_register" and row["output"]["decision"] == "DUPLICATE"]
    births = [values(row, "dob", "date_of_birth", "birth_date", "born") for row in people]
    years = [(min(a)[:4], min(b)[:4]) for a, b in births if a and b]
    apart = [(a, b) for a, b in years if (a + b).isdigit() and abs(int(a) - int(b)) not in (0, 1, 10)]
    assert 0.005 < len(apart) / len(years) < 0.15
    assert all(abs(int(a) - int(b)) <= 60 for a, b in apart)


def test_people_have_given_names_that_not_every_entry_tells(rows):
    firsts = [values(row, "first_name", "given_name", "forename", "First") for row in rows if row["output"]["decision"] == "DUPLICATE"]
    told = [sorted((*a, *b), key=len) for a, b in firsts if len(a) == len(b) == 1]
    assert [pair for pair in told if pair[1].startswith(f"{pair[0]} ")]


def test_no_two_firms_of_a_list_differ_in_their_legal_form_alone():
    world = next(iter(worlds(1, lambda: countries(5, ["en_GB"])[0], Dice(5))))[1]
    drawn = [cases.draw("list_subsidiary", world) for _ in range(60)]
    assert all(case.left["trade"] != case.right["trade"] and not case.same for case in drawn)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_mistakes_grow_with_their_level_and_empty_nothing(level):
    names = {"first": "Margaret", "last": "O'Sullivan-Brandt", "company": "Lee and Sons Company Limited"}
    texts = {**names, "birth": "1962-03-14", "street": "12 North Harbour Street", "postcode": "90210"}
    made = [mistakes.in_list_record(texts, random.Random(seed), level) for seed in range(300)]
    assert all(one.keys() == texts.keys() and all(one.values()) for one in made)
    changed = [sum(texts[key].lower() != value.lower() for key, value in one.items()) for one in made]
    milder = [mistakes.in_list_record(texts, random.Random(seed), level - 1) for seed in range(300)]
    assert sum(changed) > 1.3 * sum(sum(texts[key].lower() != value.lower() for key, value in one.items()) for one in milder)


def test_pairs_for_training_only_change_nothing_that_is_held_out(tmp_path, capsys):
    crm, lists, again = tmp_path / "all.jsonl", tmp_path / "lists.jsonl", tmp_path / "again.jsonl"
    assert main(["synth", "--n", "300", "--out", str(crm)]) == 0
    assert main(["synth", "--lists", "--n", "90", "--out", str(lists)]) == 0
    again.write_bytes(crm.read_bytes().replace(b'"id": "synth', b'"id": "again'))
    for out, more in (("plain", []), ("more", ["--also", str(lists), str(again)])):
        assert main(["prepare", "--data", str(crm), "--out", str(tmp_path / out), *more]) == 0
    for name in ("val", "test"):
        assert (tmp_path / "plain" / f"{name}.jsonl").read_bytes() == (tmp_path / "more" / f"{name}.jsonl").read_bytes()
    summary = json.loads((tmp_path / "more" / "summary.json").read_text())
    assert summary["also"][str(lists)]["pairs"] == 90
    assert summary["also"][str(again)]["left_out"] > 30  # a copy of the held-out pairs never gets into training

    def read(name: str) -> list[dict]:
        return [json.loads(line) for line in (tmp_path / "more" / f"{name}.jsonl").read_text(encoding="utf-8").split("\n") if line]

    held_out = {key for name in ("val", "test") for row in read(name) for key in identities(row)}
    assert not [row for row in read("train") if identities(row) & held_out]


def test_a_missing_file_is_named_and_nothing_is_written(tmp_path, capsys):
    assert main(["prepare", "--demo", "60", "--out", str(tmp_path / "out"), "--also", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_kinds_of_sets_cannot_be_combined(tmp_path, capsys):
    assert main(["synth", "--lists", "--unseen", "--n", "6", "--out", str(tmp_path / "x.jsonl")]) == 1
    assert "--unseen and --lists cannot be combined" in capsys.readouterr().err


def test_no_list_holds_an_attack_of_the_evaluation(rows):
    told = {attack.text("DUPLICATE")[:25] for attack in EVAL}
    assert not [text for text in told if text in json.dumps(rows, ensure_ascii=False)]
