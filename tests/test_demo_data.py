"""The demo set: repeatable, balanced, and in the same form as a user's own rows."""

from collections import Counter

import pytest

from crm_dedup_plugin import records, schema
from crm_dedup_plugin.demo_data import generate

ROWS = list(generate(1500, seed=7))


def test_the_same_seed_gives_the_same_rows():
    assert list(generate(200, seed=3)) == list(generate(200, seed=3))
    assert list(generate(1500)) == ROWS


def test_another_seed_gives_other_rows():
    inputs = [[row["input"] for row in generate(200, seed=seed)] for seed in (3, 4)]
    assert not [pair for pair in inputs[0] if pair in inputs[1]]


def test_fewer_pairs_are_the_beginning_of_more():
    assert list(generate(100, seed=7)) == ROWS[:100]


@pytest.mark.parametrize("pairs", [0, 1, 2, 3, 100, 301, 1500])
def test_the_decisions_are_balanced(pairs):
    counts = Counter(row["output"]["decision"] for row in generate(pairs, seed=5))
    assert counts.total() == pairs
    assert max(counts[label] for label in schema.LABELS) - min(counts[label] for label in schema.LABELS) <= 1


def test_every_row_has_the_keys_of_the_row_format():
    for row in ROWS:
        assert set(row) == {"id", "slice", "cluster_a", "cluster_b", "input", "output"}
        assert set(row["input"]) == {"record_a", "record_b"}
        assert set(row["output"]) == {"decision", "reasoning"}


def test_ids_are_unique():
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_every_record_is_usable_and_kept_whole():
    for row in ROWS:
        for record in row["input"].values():
            assert records.normalise(records.check(record)) == (record, [])


def test_every_answer_can_be_written_and_read():
    for row in ROWS:
        answer = row["output"]
        assert 0 < len(answer["reasoning"]) <= schema.MAX_REASONING_CHARS
        assert schema.parse(schema.dump(**answer)) == (answer["decision"], answer["reasoning"])


def test_clusters_are_equal_exactly_for_duplicates():
    for row in ROWS:
        assert (row["cluster_a"] == row["cluster_b"]) == (row["output"]["decision"] == "DUPLICATE"), row["id"]


def test_two_equal_records_are_never_called_different():
    for row in ROWS:
        same = records.identity(row["input"]["record_a"]) == records.identity(row["input"]["record_b"])
        assert not (same and row["output"]["decision"] == "NO_MATCH"), row["id"]


def test_there_are_many_slices_and_each_has_one_decision():
    decisions = {}
    for row in ROWS:
        decisions.setdefault(row["slice"], Counter())[row["output"]["decision"]] += 1
    assert len(decisions) >= 10
    assert all(len(counts) == 1 and counts.total() >= 20 for counts in decisions.values())
