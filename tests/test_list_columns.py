"""What the columns of one list say, learned from its candidates without an answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.evaluation.calibration import auroc
from crm_dedup_plugin.matching import evidence
from crm_dedup_plugin.matching.probability import COLUMNS, Calibration, weighed
from crm_dedup_plugin.policy.comparison import LEVELS, levels

GENERAL = Calibration(1.0, 0.995, True, 0.8, -0.4, 0.2, {"email same": 1.0}, {})
TEXT = st.text(max_size=12) | st.sampled_from(["", " ", "0", "=1+1", "<b>x</b>", "\u202eabc", "李"])
RECORDS = st.dictionaries(st.sampled_from(["Name", "City", "Code", "Ünïcode"]), TEXT, max_size=4)


@given(RECORDS, RECORDS)
def test_levels_are_the_same_whichever_record_comes_first(a, b):
    found = levels(a, b)
    assert found == levels(b, a) and found.keys() == a.keys() & b.keys()
    assert all(0 <= level < LEVELS for level in found.values())
    assert set(levels(a, a).values()) <= {LEVELS - 1}


def test_columns_of_one_concept_are_compared_where_their_names_differ():
    a, b = {"Email": "bo@x.example", "Ort": "Ulm", "Code": "7"}, {"E-mail": "BO@x.example", "Town": "Bonn", "Key": "7"}
    assert levels(a, b) == levels(b, a) == {"email": LEVELS - 1, "city": 0}
    assert levels({"email": "bo@x.example", "Mail": "a@x.example"}, {"email": "bo@x.example", "E-mail": "b@y.example"}) == {"email": LEVELS - 1}


NAMES = [("Ann", "Lee"), ("Bo", "Orr"), ("Cy", "Li"), ("Ann", "Orr"), ("李", "王")]
PEOPLE = [
    {"Full name": f"{last}, {first}", "First": first, "Last": last, "City": city} for (first, last), city in zip(NAMES * 4, "abcde" * 4, strict=True)
]


@given(st.permutations(range(len(PEOPLE))))
def test_a_column_that_repeats_others_counts_once(order):
    assert evidence.repeated(PEOPLE[at] for at in order) == {"Full name"}


def test_a_column_repeats_others_only_where_nearly_all_of_its_words_do():
    nicknames = [one | {"Nickname": one["First"] if at < 17 else f"x{at}"} for at, one in enumerate(PEOPLE)]
    assert evidence.repeated(nicknames) == {"Full name"}
    assert evidence.repeated([]) == evidence.repeated([{}, {"City": "a"}, {"Code": "*"}]) == set()
    assert evidence.repeated([{"Lead": "yes", "Won": "yes"}] * 3) == {"Lead"}  # of two that are the same, one is left


def a_list(columns: int, pairs: int = 2000, seed: int = 7) -> tuple[np.ndarray, np.ndarray, list[dict[str, int]]]:
    """Log-odds of a model that is hardly sure, the truth, and columns that agree more often where it is one entity."""
    rng = np.random.default_rng(seed)
    same = rng.random(pairs) < 0.2
    agree = rng.random((pairs, columns)) < np.where(same, 0.8, 0.15)[:, None]
    found = [{f"column {at}": LEVELS - 1 if one else 0 for at, one in enumerate(row)} for row in agree]
    return rng.normal(np.where(same, 0.5, -2.0), 1.5), same, found


def said(calibration: Calibration, z: np.ndarray, found: list[dict[str, int]]) -> np.ndarray:
    return (z - GENERAL.bias) / GENERAL.slope * calibration.slope + calibration.bias + list(map(calibration.said, found))


def test_a_list_shows_what_its_columns_say_without_any_answer():
    z, same, found = a_list(6)
    learned = evidence.learn(GENERAL, z, found)
    assert all(row[LEVELS - 1] > 0.4 and row[0] < -0.2 and not any(row[1:-1]) for row in learned.columns.values())
    assert auroc(same, said(learned, z, found)) > auroc(same, z) + 0.05
    assert learned.weights == {"email same": 0.5, COLUMNS: 1.0} and learned.threshold == GENERAL.threshold


def test_a_column_that_agrees_by_chance_says_nothing():
    z, _, found = a_list(6)
    rng = np.random.default_rng(8)
    found = [one | {"noise": int(level)} for one, level in zip(found, rng.integers(0, LEVELS, len(found)), strict=True)]
    assert np.abs(evidence.learn(GENERAL, z, found).columns["noise"]).max() < 0.2


@pytest.mark.parametrize(("columns", "pairs"), [(2, 2000), (6, 49), (0, 0)])
def test_too_few_columns_or_pairs_teach_nothing(columns, pairs):
    z, _, found = a_list(columns, pairs)
    assert evidence.learn(GENERAL, z, found) is GENERAL


@settings(max_examples=30)
@given(st.randoms(use_true_random=False), st.lists(st.sampled_from([-1, 0, 2, 4]), min_size=5, max_size=5))
def test_the_order_of_the_pairs_makes_no_difference_and_every_weight_is_a_number(random, odd):
    z, _, found = a_list(4, 200)
    z[:5] = [-50, 50, 0, -50, 50]
    found[:5] = [{"rare": level} if level >= 0 else {} for level in odd]
    order = random.sample(range(200), 200)
    one, other = evidence.learn(GENERAL, z, found), evidence.learn(GENERAL, z[order], [found[at] for at in order])
    assert one.columns.keys() == other.columns.keys() and np.isfinite(list(one.columns.values())).all()
    for name, row in one.columns.items():
        assert row == pytest.approx(other.columns[name], abs=2e-3)


def test_a_pair_that_was_no_candidate_is_weighed_by_the_same_columns():
    learned = Calibration(1.0, 0.9, True, 1.0, 0.0, 0.1, {COLUMNS: 2.0}, {"Code": [-1.0, 0, 0, 0, 3.0], "gone": [1.0] * LEVELS})
    same, other = ({"Code": "A-1", "New": "x"}, {"Code": "a 1"}), ({"Code": "A-1"}, {"Code": "77"})
    assert learned.evidence([same, other]).tolist() == [6.0, -2.0]
    assert learned.vector(other)[COLUMNS] == -1.0
    plain = learned._replace(columns=None)
    assert plain.evidence([same]).tolist() == weighed(plain.weights, [plain.vector(same)]).tolist() == [0.0]
