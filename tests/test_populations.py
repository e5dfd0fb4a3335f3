"""Lists that are populations: what a list draws once holds for all its records, and its pairs are true, hard and easy, and the same for a seed."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from rapidfuzz import fuzz

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset.synth import blocked, regimes
from crm_dedup_plugin.dataset.synth.countries import countries
from crm_dedup_plugin.dataset.synth.generate import Dice
from crm_dedup_plugin.dataset.synth.list_records import NEVER_MISSING
from crm_dedup_plugin.dataset.synth.populations import Population
from crm_dedup_plugin.matching import known
from crm_dedup_plugin.pair.files import read_rows
from crm_dedup_plugin.policy.values import fold

ROOT = Path(__file__).resolve().parents[1]
SEED, A_LIST, LISTS = 8, 60, 12  # pairs of a list, lists that hold every kind
SCRIPT = """
import json
from crm_dedup_plugin.dataset.synth import blocked
from crm_dedup_plugin.matching import known
print(json.dumps(list(blocked.generate(30, known.pairs, 8, 30))))
"""


def by_words(rows: list[dict]) -> dict[bool, list[tuple[str, str]]]:
    """Return the pairs of rows that share a rare word: a fast stand-in for the blocking of `match`."""
    entity, blocks = {row["id"]: row["entity"] for row in rows}, defaultdict(list)
    for row in rows:
        for word in set(fold(" ".join(text for name, text in row.items() if name not in ("id", "entity"))).split()):
            blocks[word].append(row["id"])
    pairs = {pair for ids in blocks.values() if len(ids) < 40 for pair in itertools.combinations(sorted(ids), 2)}
    return {same: sorted(pair for pair in pairs if (entity[pair[0]] == entity[pair[1]]) == same) for same in (True, False)}


def made_by(count: int, seed: int = SEED) -> list[dict]:
    return list(blocked.generate(count, by_words, seed, A_LIST))


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [row for number in range(LISTS) for row in blocked.pairs_of(number, by_words, SEED, A_LIST)]


def is_one(row: dict) -> bool:
    return row["cluster_a"] == row["cluster_b"]


def population(number: int, **changed) -> Population:
    rng = Dice(number)
    return Population(number, countries(SEED, ["en_GB"])[0], regimes.draw(number, rng)._replace(**changed), rng)


def test_equal_seeds_give_equal_rows_and_fewer_are_the_start_of_more(rows):
    assert made_by(90) == rows[:90]
    assert made_by(90, seed=6) != rows[:90]


def test_every_row_can_be_trained_on_and_is_there_once(rows, tmp_path):
    path = tmp_path / "populations.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept, cut = read_rows(path)
    assert kept == rows and not cut
    assert len({row["id"] for row in rows}) == len({json.dumps(row["input"]) for row in rows}) == len(rows)


@settings(max_examples=25, deadline=None)
@given(number=some.integers(0, 5000))
def test_a_list_keeps_its_prevalence_its_columns_and_the_truth(number):
    made, _ = blocked.listed(number, SEED, A_LIST)
    pairs = list(blocked.pairs_of(number, by_words, SEED, A_LIST))
    of_one = sum(map(is_one, pairs))
    assert len(pairs) <= A_LIST + 1
    assert abs(of_one - made.regime.prevalence * len(pairs)) <= 1
    entities = defaultdict(list)
    for key, row in made.rows.items():
        entities[f"population-{row['entity']}"].append(made.records[key])
    for pair in pairs:
        decision, (left, right) = pair["output"]["decision"], pair["input"].values()
        assert decision in ("POSSIBLE", "DUPLICATE" if is_one(pair) else "NO_MATCH") and left != right
        assert left in entities[pair["cluster_a"]] and right in entities[pair["cluster_b"]]
        assert {*left, *right} <= set(made.regime.columns.values())


@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_values_are_missing_and_entities_come_several_times_as_often_as_drawn(number):
    several = (0.2, 0.5)[number % 2]
    regime = population(number).regime
    missing = {concept: 0.1 + 0.6 * at / len(regime.columns) for at, concept in enumerate(regime.columns)}
    made = population(number, missing=missing, several=several).rows(700)
    for concept in {"birth", "city", "postcode", "street", "gender", "state", "country", "trade"} & regime.columns.keys():
        assert abs(mean(concept not in row for row in made) - missing[concept]) < 0.06
    assert all(concept in row for row in made for concept in set(NEVER_MISSING) & regime.columns.keys())
    sizes = Counter(row["entity"] for row in made)
    assert abs(mean(size > 1 for size in sizes.values()) - several) < 0.07


def test_records_of_one_entity_differ_by_what_the_regime_says_alone():
    calm = {"columns": {"first": "first", "last": "last"}, "changes": ("contact_again",), "outdated": 0.0, "other_script": 0.0, "second_names": False}

    def agreeing(chance: float) -> float:
        damaged = {"first": chance, "last": chance}
        made = population(0, **calm, damaged=damaged, clean_first=False, several=1.0, more=0.0, missing={"first": 0.0, "last": 0.0}).rows(200)
        names = defaultdict(set)
        for row in made:
            names[row["entity"]].add(f"{row['first']} {row['last']}".casefold())
        return mean(len(found) == 1 for found in names.values())

    assert agreeing(0.0) == 1.0
    assert 0.05 < agreeing(0.5) < 0.8


@pytest.mark.parametrize("number", [0, 1])
def test_families_and_firms_share_homes_as_often_as_drawn(number):
    def neighbours(alike: float) -> float:
        made = [entity.values for entity in population(number, alike=alike, new_firm=1.0).entities(400)]
        homes = Counter((one["street"], one["postcode"]) for one in made)
        return mean(homes[one["street"], one["postcode"]] > 1 for one in made)

    assert neighbours(0.6) > neighbours(0.0) + 0.1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_pairs_of_a_list_are_the_hardest_and_any(number):
    made, _ = blocked.listed(number, SEED, 200)
    found = by_words([*made.rows.values()])
    text = {key: fold(" ".join(record.values())) for key, record in made.records.items()}
    alike = {same: sorted(fuzz.token_sort_ratio(text[a], text[b]) for a, b in pairs) for same, pairs in found.items()}
    for same, harder in ((True, -1), (False, 1)):
        chosen = [pair["input"] for pair in blocked.pairs_of(number, by_words, SEED, 200) if is_one(pair) == same]
        taken = [fuzz.token_sort_ratio(*(fold(" ".join(record.values())) for record in pair.values())) for pair in chosen]
        middle = alike[same][len(alike[same]) // 2]
        assert harder * (mean(taken) - mean(alike[same])) > 0
        assert min(taken) < middle < max(taken)


@pytest.mark.parametrize("told", ["codes", "amounts", "days", "people"])
def test_what_says_nothing_of_an_entity_differs_from_record_to_record(told):
    columns = {"first": "first", "last": "last", "entry": "batch"}
    made = population(0, columns=columns, missing=dict.fromkeys(columns, 0.0), damaged=dict.fromkeys(columns, 0.0), told=told).rows(100)
    assert len({row["entry"] for row in made}) > 0.8 * len(made)


def test_two_of_one_name_are_not_told_apart_by_what_says_nothing():
    for number in range(LISTS):
        made, _ = blocked.listed(number, SEED, A_LIST)
        entry = made.regime.columns.get("entry")
        for pair in blocked.pairs_of(number, by_words, SEED, A_LIST):
            left, right = ({name: text.casefold() for name, text in record.items() if name != entry} for record in pair["input"].values())
            assert is_one(pair) or left != right


def test_all_kinds_of_lists_occur_with_both_decisions(rows):
    for decision in ("DUPLICATE", "NO_MATCH"):
        assert {row["slice"] for row in rows if row["output"]["decision"] == decision} == {f"population_{kind}" for kind in regimes.KINDS}


def test_the_blocking_of_a_match_gives_the_same_rows_in_another_process(capsys):
    environment = {**os.environ, "PYTHONHASHSEED": "4242"}
    other = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    rows = list(blocked.generate(30, known.pairs, 8, 30))
    assert json.loads(other.communicate(timeout=240)[0]) == rows
    assert {is_one(row) for row in rows} == {True, False}
    assert capsys.readouterr() == ("", "")  # nothing is said of a run that nobody has asked for


def test_the_command_writes_populations_and_their_card(tmp_path, monkeypatch):
    monkeypatch.setattr(known, "pairs", by_words)
    out = tmp_path / "populations.jsonl"
    assert main(["synth", "--populations", "--n", "50", "--seed", str(SEED), "--out", str(out)]) == 0
    kept, _ = read_rows(out)
    assert len(kept) == 50 and {row["slice"] for row in kept} == {"population_register"}
    assert json.loads(out.with_suffix(".card.json").read_text())["command"] == "crm-dedup synth --n 50 --seed 8 --populations"


def test_pairs_among_known_rows_are_those_of_a_match():
    rows = [
        {"id": f"{at}", "entity": str(at // 2), "first_name": name, "last_name": "Okafor", "email": f"{name}@okafor.example"}
        for at, name in enumerate(["ada", "ada", "ben", "ben", "cleo", "zoe"])
    ]
    found = known.pairs(rows)
    assert (
        {("0", "1"), ("2", "3")} <= set(found[True]) and ("4", "5") not in found[False] and all(a < b for pairs in found.values() for a, b in pairs)
    )
