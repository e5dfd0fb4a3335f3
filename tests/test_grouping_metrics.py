"""Scores of groups, by hand and against the definitions written out."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "experiments"))

from group_scores import completeness, measure

# A record each: its entity and its group.
RECORDS = some.lists(some.tuples(some.integers(0, 5), some.integers(0, 5)), min_size=1, max_size=24)


def value(result: dict, *names: str) -> float:
    for name in names:
        result = result[name]
    return result["value"]


def test_perfect_groups_have_perfect_scores():
    result = measure(["ann", "ann", "bob", "cy"], [7, 7, 2, 1])
    for kind in ("pairs", "b_cubed"):
        assert [value(result, kind, name) for name in ("precision", "recall", "f1")] == [1, 1, 1]
    assert value(result, "wrong_merges_per_1000") == 0
    assert value(result, "merged_or_in_review") == 1
    assert result["counts"] == {"records": 4, "entities": 3, "groups": 3, "same": 1, "grouped": 1, "right": 1, "merges": 1, "wrong": 0}


def test_a_group_of_two_people_has_one_wrong_merge():
    result = measure(["ann", "ann", "bob", "bob"], [0, 0, 0, 1])
    assert value(result, "pairs", "precision") == pytest.approx(1 / 3)
    assert value(result, "pairs", "recall") == pytest.approx(1 / 2)
    assert value(result, "wrong_merges_per_1000") == pytest.approx(500)
    assert value(result, "b_cubed", "precision") == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
    assert value(result, "b_cubed", "recall") == pytest.approx((1 + 1 + 1 / 2 + 1 / 2) / 4)


def test_nothing_merged_is_precise_and_finds_nothing():
    result = measure(["ann", "ann"], [0, 1])
    assert [value(result, "pairs", name) for name in ("precision", "recall", "f1")] == [1, 0, 0]
    assert value(result, "wrong_merges_per_1000") == 0
    assert value(measure(["ann", "ann"], [0, 1], [(0, 1)]), "merged_or_in_review") == 1


def test_one_question_can_bring_two_groups_together_and_a_wrong_question_none():
    truth, groups = ["ann"] * 4 + ["bob"], [0, 0, 1, 1, 2]
    assert value(measure(truth, groups), "merged_or_in_review") == pytest.approx(2 / 6)
    assert value(measure(truth, groups, [(1, 2)]), "merged_or_in_review") == 1
    assert value(measure(truth, groups, [(1, 4), (4, 2)]), "merged_or_in_review") == pytest.approx(2 / 6)


def test_completeness_counts_the_right_pairs_and_all_candidates():
    result = completeness(["ann", "ann", "ann", "bob"], [(0, 1), (2, 3)])
    assert value(result, "completeness") == pytest.approx(1 / 3)
    assert (result["candidates"], result["per_record"]) == (2, 0.5)
    assert value(completeness(["ann", "bob"], []), "completeness") == 1
    assert value(completeness(["ann", "ann"], np.empty((0, 2), np.int64)), "completeness") == 0


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_the_scores_are_their_definitions(records):
    truth, groups = zip(*records, strict=True)
    result = measure(truth, groups)
    same = {pair for pair in itertools.combinations(range(len(records)), 2) if truth[pair[0]] == truth[pair[1]]}
    grouped = {pair for pair in itertools.combinations(range(len(records)), 2) if groups[pair[0]] == groups[pair[1]]}
    assert value(result, "pairs", "precision") == pytest.approx(len(same & grouped) / len(grouped) if grouped else 1)
    assert value(result, "pairs", "recall") == pytest.approx(len(same & grouped) / len(same) if same else 1)
    both = [sum(other == record for other in records) for record in records]
    assert value(result, "b_cubed", "precision") == pytest.approx(np.mean([n / groups.count(g) for n, (_, g) in zip(both, records, strict=True)]))
    assert value(result, "b_cubed", "recall") == pytest.approx(np.mean([n / truth.count(e) for n, (e, _) in zip(both, records, strict=True)]))
    merges = len(records) - len(set(groups))
    wrong = len(set(records)) - len(set(groups))
    assert value(result, "wrong_merges_per_1000") == pytest.approx(1000 * wrong / merges if merges else 0)
    assert result["counts"]["merges"] == merges
    assert result["counts"]["wrong"] == wrong


@settings(max_examples=20, deadline=None)
@given(RECORDS, some.randoms())
def test_neither_the_order_of_the_records_nor_the_names_of_groups_matter(records, dice):
    truth, groups = zip(*records, strict=True)
    shuffled = dice.sample(records, len(records))
    values = [measure([f"e{e}" for e, _ in one], [g * 10 for _, g in one]) for one in (records, shuffled)]
    for name in ("precision", "recall", "f1"):
        assert value(values[0], "pairs", name) == pytest.approx(value(values[1], "pairs", name))
        assert value(values[0], "b_cubed", name) == pytest.approx(value(measure(truth, groups), "b_cubed", name))


def test_intervals_hold_the_value_shrink_with_more_entities_and_come_out_the_same_again():
    def width(entities: int) -> float:
        truth = [f"e{n // 2}" for n in range(2 * entities)]
        groups = [n // 2 if n % 6 else -n for n in range(2 * entities)]
        result = measure(truth, groups)
        assert result == measure(truth, groups)
        recall = result["pairs"]["recall"]
        assert recall["low"] < recall["value"] < recall["high"]
        return recall["high"] - recall["low"]

    assert width(1000) < width(100) / 2


@pytest.mark.parametrize(("truth", "groups"), [([], []), (["ann"], [0, 1])])
def test_lists_that_do_not_fit_are_refused(truth, groups):
    with pytest.raises(ValueError, match="give each record one of each"):
        measure(truth, groups)
