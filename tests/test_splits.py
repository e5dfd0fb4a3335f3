"""Splits: no entity on two sides, every row exactly once, and each decision in its share."""

import copy
import random
from collections import Counter
from itertools import combinations

import pytest
from compact_pairs import generate
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.dataset.splits import SPLITS, SplitError, connected, split
from crm_dedup_plugin.pair.answer import LABELS

QUICK = settings()
FRACTIONS = st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.34, 0.33, 0.33), (0.98, 0.01, 0.01), (0.1, 0.1, 0.8)])
SEEDS = st.integers(0, 2**32)


def make(number: int, decision: str, clusters=(None, None), left: dict | None = None, right: dict | None = None) -> dict:
    left, right = left or {"name": f"left {number}"}, right or {"name": f"right {number}"}
    return {
        "id": f"r{number}",
        "slice": "test",
        "cluster_a": clusters[0],
        "cluster_b": clusters[1],
        "input": {"record_a": left, "record_b": right},
        "output": {"decision": decision, "reasoning": "x"},
    }


def tangled(seed: int, count: int) -> list[dict]:
    """Make rows of which some share a cluster, and some a record in another case and field order."""
    rng = random.Random(seed)
    share = rng.choice((0.0, 0.1, 0.3))

    def pick(number: int) -> int:
        return rng.randrange(count // 3) if rng.random() < share else 1000 + number

    def record(number: int) -> dict:
        fields = [("name", f"Ann {number}"), ("city", "Oslo"), ("phone", str(number))]
        rng.shuffle(fields)
        return {rng.choice((name, name.upper())): rng.choice((value, value.upper())) for name, value in fields}

    rows = []
    for number in range(count):
        clusters = rng.choice((None, pick(number))), str(pick(number + 500))
        rows.append(make(number, LABELS[number % 3], clusters, record(pick(number)), record(pick(number + 500))))
    return rows


def traces(row: dict) -> set:
    """Return all that betrays the entities of a row, worked out without the code under test."""
    found = {str(row[name]) for name in ("cluster_a", "cluster_b") if row[name] is not None}
    return found | {frozenset((k.lower(), v.lower()) for k, v in record.items()) for record in row["input"].values()}


def assert_sound(rows: list[dict], sides: dict[str, list[dict]]) -> None:
    assert tuple(sides) == SPLITS
    assert sorted(row["id"] for side in sides.values() for row in side) == sorted(row["id"] for row in rows)
    held = {name: set().union(*map(traces, side)) for name, side in sides.items()}
    for one, other in combinations(SPLITS, 2):
        assert not held[one] & held[other]
    assert all({row["output"]["decision"] for row in side} == set(LABELS) for side in sides.values())


def assert_shares(rows: list[dict], sides: dict[str, list[dict]], fractions, within: float) -> None:
    total = Counter(row["output"]["decision"] for row in rows)
    for name, fraction in zip(SPLITS, fractions, strict=True):
        assert len(sides[name]) / len(rows) == pytest.approx(fraction, abs=within)
        count = Counter(row["output"]["decision"] for row in sides[name])
        for label in LABELS:
            assert count[label] / len(sides[name]) == pytest.approx(total[label] / len(rows), abs=within)


@QUICK
@given(SEEDS, st.integers(12, 60), FRACTIONS, SEEDS)
def test_no_entity_is_on_two_sides_and_no_row_is_lost(shape, count, fractions, seed):
    rows = tangled(shape, count)
    before = copy.deepcopy(rows)
    try:
        sides = split(rows, fractions, seed)
    except SplitError as error:
        assert "share entities" in str(error)
        assume(False)
    assert_sound(rows, sides)
    assert split(rows, fractions, seed) == sides
    assert rows == before


@QUICK
@given(st.lists(st.integers(3, 12), min_size=3, max_size=3), FRACTIONS, SEEDS)
def test_rows_that_share_nothing_can_always_be_split(counts, fractions, seed):
    decisions = [label for label, count in zip(LABELS, counts, strict=True) for _ in range(count)]
    rows = [make(number, decision) for number, decision in enumerate(decisions)]
    assert_sound(rows, split(rows, fractions, seed))


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.5, 0.3, 0.2)])
@pytest.mark.parametrize("seed", [7, 8])
def test_the_demo_rows_are_split_in_equal_shares(fractions, seed):
    rows = list(generate(1500, seed))
    sides = split(rows, fractions, seed)
    assert_sound(rows, sides)
    assert_shares(rows, sides, fractions, within=0.02)


def test_small_groups_are_split_in_equal_shares():
    rng = random.Random(1)
    rows = [make(n, rng.choice((*LABELS, "NO_MATCH")), (f"c{rng.randrange(1500)}", None)) for n in range(1500)]
    sides = split(rows)
    assert_sound(rows, sides)
    assert_shares(rows, sides, (0.8, 0.1, 0.1), within=0.02)


def test_a_large_group_does_not_swamp_a_small_side():
    # The exact shares are within reach: both groups and 60 single rows for training, 30 single rows for each other side.
    clusters = ["one"] * 90 + ["two"] * 90 + [None] * 120
    rows = [make(n, LABELS[n % 3], (cluster, None)) for n, cluster in enumerate(clusters)]
    assert_shares(rows, split(rows), (0.8, 0.1, 0.1), within=0.02)


def test_the_seed_decides_the_order_and_the_sides():
    rows = list(generate(90, 1))
    assert split(rows, seed=1) == split(rows, seed=1)
    test_ids = [{row["id"] for row in split(rows, seed=seed)["test"]} for seed in (1, 2)]
    assert test_ids[0] != test_ids[1]


def test_rows_are_joined_by_a_chain_of_clusters_and_records():
    same, shuffled = {"Name": "Ann", "city": "OSLO"}, {"CITY": "Oslo", "name": "ANN "}
    rows = [
        make(0, "NO_MATCH", ("a", 7)),
        make(1, "NO_MATCH", ("7", None), left=same),
        make(2, "NO_MATCH", (None, None), right=shuffled),
        make(3, "NO_MATCH", (None, "b")),
    ]
    assert sorted(map(sorted, connected(rows))) == [[0, 1, 2], [3]]


NAN = float("nan")
BAD_FRACTIONS = [(0.8, 0.2), (0.7, 0.1, 0.1, 0.1), (0.8, 0.2, 0.0), (1.2, -0.1, -0.1), (0.8, 0.1, 0.2), (80, 10, 10), (NAN, 0.5, 0.5), ()]


@pytest.mark.parametrize("fractions", BAD_FRACTIONS, ids=str)
def test_fractions_that_make_no_sense_are_refused(fractions):
    with pytest.raises(SplitError, match="three positive numbers that add up to 1"):
        split([make(number, LABELS[number % 3]) for number in range(30)], fractions)


def test_too_few_of_a_decision_are_refused_with_the_counts_and_the_cure():
    rows = [make(number, LABELS[number % 3]) for number in range(8)]
    with pytest.raises(SplitError, match=r"in the data .DUPLICATE 3, POSSIBLE 3, NO_MATCH 2.: add pairs of NO_MATCH"):
        split(rows)
    with pytest.raises(SplitError, match="DUPLICATE 0, POSSIBLE 0, NO_MATCH 0"):
        split([])


def test_one_giant_group_is_refused_with_the_reason():
    rows = [make(number, LABELS[number % 3], (number, number + 1)) for number in range(300)]
    with pytest.raises(SplitError, match=r"in the val split.*the pairs form 1 groups that share entities, and a group cannot be divided"):
        split(rows)
