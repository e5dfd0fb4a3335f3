"""Which pairs a person is asked about, and what the answers say of a whole run."""

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from crm_dedup_plugin.matching.estimate import LEAST, estimate, share_of
from crm_dedup_plugin.matching.probability import log_odds
from crm_dedup_plugin.matching.sampling import (
    EVERY,
    FIRST,
    RANDOM,
    STRATA,
    STRATIFIED,
    UNCERTAIN,
    Answered,
    Sampler,
    fit,
    strata,
    tickets_of,
)  # fmt: skip


class World:
    """Candidates whose truth is known: most are clear no's, and the model's log-odds are off by a line and by waves."""

    def __init__(self, seed, size=3_000, far=1.0):
        rng = np.random.default_rng(seed)
        parts = (
            rng.normal(-6, 2, int(size * 0.85)),
            rng.normal(0, 2, int(size * 0.05)),
            rng.normal(5, 2, size - int(size * 0.85) - int(size * 0.05)),
        )
        self.z = np.concatenate(parts)
        wrong = rng.normal(0, far) + rng.uniform(0.6, 1.3) * self.z + 0.5 * np.sin(2 * self.z + rng.uniform(0, 6))
        self.same = rng.random(size) < expit(wrong)
        self.merged = self.z > 4
        self.groups = np.arange(2 * size)
        pairs = self.groups.reshape(-1, 2)
        self.tickets = tickets_of([str(row) for row in range(2 * size)], pairs, seed)
        self.sampler = Sampler(pairs, self.z, self.merged, rng.integers(0, 5, size), self.tickets)

    def answer(self, count, unsure=()):
        answers = {}
        while len(answers) < count:
            at, drawn = self.sampler.next(answers, self.groups)
            answers[at] = Answered("unsure" if len(answers) in unsure else "same" if self.same[at] else "different", drawn)
        return answers

    def confirmed(self, answers):
        return sum(one.answer == "same" and not self.merged[at] for at, one in answers.items())

    def truth(self, answers):
        return self.same[self.merged].mean(), (self.same[~self.merged].sum() - self.confirmed(answers)) / self.same.sum()


@given(
    z=st.lists(st.floats(-12, 12), max_size=60),
    threshold=st.floats(-12, 12),
)
def test_every_candidate_is_in_one_stratum_and_merges_are_apart(z, threshold):
    z = np.array(z, float)
    of, merges = strata(z, z > threshold)
    assert len(of) == len(z) and len(merges) <= STRATA
    assert np.array_equal(merges[of], z > threshold)
    assert np.array_equal(np.unique(of), np.arange(len(merges)))  # none is empty
    order = np.argsort(z, kind="stable")
    assert (np.diff(of[order]) >= 0).all(), "a stratum is an interval"


def test_the_tails_have_strata_of_their_own_although_most_are_clear():
    world = World(0, 50_000)
    sizes, lowest = world.sampler.sizes, [world.z[one].min() for one in world.sampler.orders]
    assert len(sizes) == STRATA
    assert sum(one > -3 for one in lowest) >= 4, "a tenth of the candidates"
    assert sizes[0] < len(world.z) / STRATA, "the clearest no's too"


def test_the_first_answers_are_spread_over_the_strata_and_later_ones_are_near_the_boundary():
    world = World(1)
    answers = world.answer(FIRST + 40)
    drawn = [one.drawn for one in answers.values()]
    assert drawn[:FIRST] == [STRATIFIED] * FIRST
    assert Counter(drawn[FIRST:]) == {UNCERTAIN: 32, RANDOM: 8}
    assert drawn[FIRST : FIRST + EVERY] == [UNCERTAIN] * (EVERY - 1) + [RANDOM]
    by_stratum = Counter(world.sampler.of[list(answers)[:FIRST]].tolist())
    assert set(by_stratum.values()) == {FIRST // STRATA}
    (intercept, slope), _ = world.sampler.fitted(answers)
    far = np.abs(intercept + slope * world.z)
    asked = [at for at, one in answers.items() if one.drawn == UNCERTAIN]
    assert np.median(far[asked]) < np.quantile(far, 0.05)
    assert world.answer(FIRST + 40) == answers, "the same answers, the same questions"


def test_no_two_groups_are_asked_about_twice_and_neighbours_come_later():
    rng = np.random.default_rng(3)
    pairs = np.array([(a, b) for a in range(60) for b in range(a + 1, 60)])
    groups = np.arange(60) // 3 * 3
    z = rng.normal(0, 2, len(pairs))
    sampler = Sampler(pairs, z, z > 5, np.zeros(len(pairs), int), tickets_of([str(row) for row in range(60)], pairs))
    answers = {}
    for _ in range(FIRST + 60):
        at, drawn = sampler.next(answers, groups)
        sides = [frozenset(groups[pairs[one]].tolist()) for one in answers]
        if drawn == UNCERTAIN:
            assert frozenset(groups[pairs[at]].tolist()) not in sides
            assert not set(groups[pairs[at]].tolist()) & set(sides[-1])
        answers[at] = Answered("different", drawn)


def test_what_is_skipped_is_not_given_and_everything_ends():
    world = World(4, 20)
    first = world.sampler.next({}, world.groups)[0]
    assert world.sampler.next({}, world.groups, {first})[0] != first
    answers = world.answer(20)
    assert len(answers) == 20
    assert world.sampler.next(answers, world.groups) is None
    none = Sampler(np.empty((0, 2), int), np.empty(0), np.empty(0, bool), np.empty(0, int), np.empty(0, np.uint64))
    assert none.next({}, np.empty(0, int)) is None
    assert estimate(none, {}, 0) == (None, None)


def test_another_order_of_the_records_draws_the_same_pairs():
    names, pairs = ["a", "b", "c"], np.array([(0, 1), (1, 2)])
    moved = tickets_of(["c", "b", "a"], np.array([(1, 2), (1, 0)]))
    assert tickets_of(names, pairs).tolist() == moved.tolist()
    assert tickets_of(names, pairs).tolist() != tickets_of(names, pairs, seed=1).tolist()


def test_a_sample_holds_what_was_answered_before_its_turn():
    world = World(5)
    order = world.sampler.orders[0].tolist()
    asked = {order[0]: Answered("same", STRATIFIED), order[1]: Answered("same", UNCERTAIN), order[5]: Answered("same", UNCERTAIN)}
    assert world.sampler.sample(asked)[0] == order[:2]  # the sixth is no random one: the third is not answered
    size = int(world.sampler.sizes[0])
    asked[order[6]], asked[order[7]] = Answered("same", RANDOM, (0, size)), Answered("same", RANDOM, (0, size + 1))
    assert world.sampler.sample(asked)[0] == [order[0], order[6], order[1]]  # the last one was drawn from another stratum


def test_after_another_threshold_the_answers_still_say_the_truth():
    held, asked = [], []
    for seed in range(60):
        world = World(seed, 1_000)
        kept = {
            at: one._replace(stratum=(int(world.sampler.of[at]), int(world.sampler.sizes[world.sampler.of[at]])))
            for at, one in world.answer(80).items()
        }
        world.merged = world.z > 2
        world.sampler = Sampler(world.sampler.pairs, world.z, world.merged, world.sampler.kinds, world.tickets)
        asked.append(sum(map(len, world.sampler.sample(kept))))
        found = estimate(world.sampler, kept, world.confirmed(kept))
        held += [found.precision.low <= world.truth(kept)[0] <= found.precision.high] if found.precision else []
    assert np.mean(asked) > 20 and np.mean(held) > 0.9


@pytest.mark.parametrize(("count", "worlds"), [(20, 100), (FIRST, 100), (90, 50)])
def test_intervals_hold_the_truth(count, worlds):
    held = []
    for seed in range(worlds):
        world = World(seed, 1_000)
        answers = world.answer(count)
        for found, true in zip(estimate(world.sampler, answers, world.confirmed(answers)), world.truth(answers), strict=True):
            held.append(found.low - 1e-9 <= true <= found.high + 1e-9)
    assert np.mean(held[::2]) > 0.9
    assert np.mean(held[1::2]) > 0.9


def test_more_answers_say_more_and_an_overconfident_model_is_found_out():
    widths = {}
    for count in (20, 200):
        found = [estimate(world.sampler, world.answer(count), 0) for world in map(World, range(8))]
        widths[count] = np.mean([[one.high - one.low for one in both] for both in found], axis=0)
    assert (widths[200] < widths[20]).all()
    world = World(9)
    world.same[world.merged] = np.arange(world.merged.sum()) % 3 > 0  # a third of the merges is wrong
    precision, _ = estimate(world.sampler, world.answer(FIRST), 0)
    assert precision.low < 2 / 3 < precision.high < 0.97


def test_unsure_says_nothing_and_few_answers_say_nothing():
    world = World(10)
    assert estimate(world.sampler, world.answer(LEAST - 1), 0) == (None, None)
    assert estimate(world.sampler, world.answer(FIRST, unsure=range(FIRST)), 0) == (None, None)
    answers = world.answer(40, unsure=range(0, 40, 2))
    found = estimate(world.sampler, answers, 0)
    assert found.missing.answers == 20
    assert found == estimate(world.sampler, {at: one for at, one in answers.items()}, 0)
    assert share_of(0, 0) is None
    assert (share_of(3, 3).value, share_of(3, 3).high) == (1.0, 1.0) and 0.2 < share_of(3, 3).low < 0.6


def test_a_line_is_fitted_to_answers_that_are_all_alike():
    for said in (0.0, 1.0):
        (intercept, slope), covariance = fit(np.linspace(-5, 5, 30), np.full(30, said))
        assert np.isfinite([intercept, slope]).all() and slope > 0 and (np.linalg.eigvalsh(covariance) > 0).all()
        assert (intercept > 0) == bool(said)
    assert log_odds(np.array([[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]])).tolist()[0] == 0.0


def test_the_next_question_comes_at_once():
    world = World(11, 100_000)
    answers = world.answer(FIRST + 150)
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        world.sampler.next(answers, world.groups)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.1
