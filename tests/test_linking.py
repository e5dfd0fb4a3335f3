"""One threshold for lists: chosen on held-out pairs, the best there, and blind to what it is measured on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_dedup_plugin.evaluation import linking, metrics
from crm_dedup_plugin.pair.files import Pair

scored = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40).filter(lambda rows: any(match for match, _ in rows))


def f1(match, scores, threshold) -> float:
    return metrics.pair_scores(match, ["DUPLICATE" if score >= threshold else "NO_MATCH" for score in scores])["f1"]


LABELLED = (
    {"label": 1},
    {"label": 0, "cluster_a": "x", "cluster_b": "x"},
    {"label": "POSSIBLE", "cluster_a": "x", "cluster_b": "x"},
    {"label": "POSSIBLE", "cluster_a": "x", "cluster_b": "y"},
)


@given(scored)
def test_no_threshold_is_better_on_the_held_out_pairs(rows):
    match, scores = (list(column) for column in zip(*rows, strict=True))
    chosen = f1(match, scores, linking.best_threshold(match, np.array(scores)))
    assert chosen == pytest.approx(max(f1(match, scores, score) for score in scores))


def test_possible_lies_halfway_and_clusters_are_the_truth_of_generated_pairs():
    assert linking.score([[1, 0, 0], [0, 1, 0], [0, 0, 1]]).tolist() == [1, 0.5, 0]
    assert [linking.truth(Pair({}, {}, **said)) for said in LABELLED] == [1, 0, 1, 0]


def test_labels_that_are_measured_do_not_move_the_threshold():
    held_out, held_out_scores = [0, 0, 1, 1], np.array([0.1, 0.4, 0.6, 0.9])
    right = linking.measure([1, 1, 0], np.array([0.7, 0.5, 0.2]), ["a", "a", "b"], held_out, held_out_scores)
    wrong = linking.measure([0, 0, 1], np.array([0.7, 0.5, 0.2]), ["a", "a", "b"], held_out, held_out_scores)
    assert right["threshold"] == wrong["threshold"] == 0.6
    assert right["recall"]["value"] == 0.5 and right["precision"]["value"] == 1 and wrong["f1"]["value"] == 0
    assert right["held_out"] == {"pairs": 4, "f1": 1} and {name: part["pairs"] for name, part in right["slices"].items()} == {"a": 2, "b": 1}
