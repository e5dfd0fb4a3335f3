"""Groups of records from decisions about pairs: what joins, what forbids, what is asked, and what waits for a person."""

import itertools
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import deciding, records, run_folder
from crm_dedup_plugin.matching.grouping import group, missing
from crm_dedup_plugin.pair.answer import LABELS

THRESHOLD = 0.79
YES, UNSURE, MAYBE, NO = (0.95, 0.04, 0.01), (0.6, 0.3, 0.1), (0.2, 0.7, 0.1), (0.05, 0.05, 0.9)


def write_run(run, ids, pairs, step=1):
    """Write the first three stages: records with these ids, and {(row, row): probabilities}; another `step` is another order of the pairs."""
    for number, name in enumerate(("read", "candidates", "decide"), start=1):
        folder = run / f"{number}-{name}"
        folder.mkdir(parents=True)
        (folder / run_folder.KEY).write_text(json.dumps([name, ids, sorted(pairs)]))
        (folder / run_folder.REPORT).write_text(json.dumps({"sources": [SOURCE]}))
    rows = [{"row": row, "source": 0, "line": row + 2, "id": one, "values": json.dumps({"Id": one}), "evidence": "{}"} for row, one in enumerate(ids)]
    pq.write_table(pa.Table.from_pylist(rows, records.schema()), run / "1-read" / records.FILE)
    items = [(*pair, *row, LABELS[row.index(max(row))]) for pair, row in pairs.items()]
    items = [one for start in range(step) for one in items[start::step]]
    kinds = [pa.field(name, pa.int64()) for name in ("a", "b")] + [pa.field(label.lower(), pa.float32()) for label in LABELS]
    columns = list(zip(*items, strict=True)) or [[]] * 6
    pq.write_table(pa.table(columns, pa.schema([*kinds, pa.field("decision", pa.string())])), run / "3-decide" / deciding.DECISIONS)
    return run


COLUMN = {"name": "Id", "role": "id", "concept": None, "separator": None}
SOURCE = {
    "path": "contacts.csv",
    "profile": "generic",
    "crm": "",
    "kind": "contact",
    "columns": [{"name": "Id", "role": "id", "concept": None, "separator": None}],
}


class Answers:
    """Answers about pairs of ids from a table; what is not in it is DUPLICATE where two names begin alike."""

    def __init__(self, ids, pairs=None):
        self.ids, self.pairs, self.asked = ids, pairs or {}, []

    def __call__(self, pairs):
        self.asked += pairs
        return [self.pairs.get(frozenset((self.ids[a], self.ids[b])), YES if self.ids[a][0] == self.ids[b][0] else NO) for a, b in pairs]


def grouped(run):
    table = pq.read_table(run / "4-group" / "groups.parquet").to_pydict()
    groups = {}
    for row, name in zip(table["row"], table["group"], strict=True):
        groups.setdefault(name, set()).add(row)
    assert all(min(rows) == name for name, rows in groups.items())
    return {frozenset(rows) for rows in groups.values()}


def listed(run, name):
    return pq.read_table(run / "4-group" / f"{name}.parquet").to_pylist()


# --- properties ---


@st.composite
def worlds(draw):
    """Return ids, probabilities of some pairs of them, and what people answered."""
    ids = [f"{number:03}" for number in range(draw(st.integers(2, 9)))]
    every = list(itertools.combinations(ids, 2))
    outcome = st.sampled_from([YES, (0.8, 0.15, 0.05), UNSURE, MAYBE, NO, (0.3, 0.3, 0.4)])
    table = {frozenset(pair): draw(outcome) for pair in every}
    shown = draw(st.lists(st.sampled_from(every), unique=True))
    answers = draw(st.lists(st.tuples(st.sampled_from(every), st.booleans()), max_size=4))
    return ids, table, shown, answers


def carried_out(folder, world, seed=0):
    """Group a world whose rows and pairs are in the order of a seed; return sets of ids, the report and all that is known of pairs."""
    ids, table, shown, answers = world
    rows, shown = list(ids), list(shown)
    random.Random(seed).shuffle(rows)
    random.Random(seed).shuffle(shown)
    at = {one: row for row, one in enumerate(rows)}
    pairs = {tuple(sorted((at[a], at[b]))): table[frozenset((a, b))] for a, b in shown}
    run = write_run(folder / f"run-{seed}-{random.random()}", rows, pairs, step=1 + seed)
    ask = Answers(rows, table)
    report = group(run, ask, THRESHOLD, [(at[a], at[b], same) for (a, b), same in answers])
    names = {frozenset(rows[row] for row in one) for one in grouped(run)}
    edges = {(frozenset((rows[edge["a"]], rows[edge["b"]])), edge["kind"], edge["by"]) for edge in listed(run, "edges")}
    review = [(frozenset((rows[pair["a"]], rows[pair["b"]])), pair["why"], pair["again"]) for pair in listed(run, "review")]
    return run, names, report, edges, review, ask


@settings(max_examples=60, deadline=None)
@given(world=worlds())
def test_groups_keep_what_is_forbidden_apart_and_hold_together_by_duplicates(tmp_path_factory, world):
    ids, table, shown, answers = world
    _, groups, report, edges, review, ask = carried_out(tmp_path_factory.mktemp("grouping"), world)
    said = {frozenset(pair): same for pair, same in answers}
    yes = {pair for pair, same in said.items() if same}
    assert sorted(itertools.chain(*groups)) == ids  # every record once
    for one in groups:
        inside = {frozenset(pair) for pair in itertools.combinations(one, 2)}
        assert not inside & {pair for pair, same in said.items() if not same}
        holds = {pair for pair, kind, _ in edges if kind == "holds"} & inside
        assert len(holds) == len(one) - 1  # a tree: no more evidence than it needs
        assert all(said.get(pair, table[pair][0] >= THRESHOLD) for pair in holds)  # POSSIBLE never joins
        by_people = [set(pair) for pair in yes & inside]
        for pair in inside:  # the model's no stands, but where people joined both sides
            assert table[pair].index(max(table[pair])) != 2 or pair in yes or connected(pair, by_people)
        assert inside <= {frozenset(pair) for pair in shown} | {frozenset(ask.ids[row] for row in pair) for pair in ask.asked} | set(said)
    together = {frozenset(pair) for one in groups for pair in itertools.combinations(one, 2)}
    refused = [pair for pair in yes if pair not in together]
    assert len(report["contradictions"]) == len(refused)  # a yes joins, or is reported
    waiting = {pair for pair, _, _ in review}
    assert not waiting & together
    for pair in map(frozenset, shown):  # what the model does not deny is merged, waits, or was settled by a person
        denied = table[pair].index(max(table[pair])) == 2
        assert denied or pair in together | waiting | set(said) or settled(pair, groups, said)


def connected(pair, links):
    found, rest = {min(pair)}, list(links)
    while new := [link for link in rest if link & found and not link <= found]:
        found.update(*new)
    return max(pair) in found


def settled(pair, groups, said):
    sides = [one for one in groups if one & pair]
    return any(not same and all(one & other for one in sides) for other, same in said.items())


@settings(max_examples=40, deadline=None)
@given(world=worlds(), seed=st.integers(1, 3))
def test_the_order_of_rows_and_pairs_makes_no_difference(tmp_path_factory, world, seed):
    folder = tmp_path_factory.mktemp("grouping")
    first, second = carried_out(folder, world), carried_out(folder, world, seed)
    assert first[1] == second[1]
    assert first[3:5] == second[3:5]


# --- examples ---


def test_one_can_be_left_out_and_stays_out(tmp_path):
    ids = ["Acme", "ACME Inc", "Acmon"]
    pairs = {(0, 1): (0.97, 0.02, 0.01), (1, 2): (0.85, 0.1, 0.05), (0, 2): NO}
    run = write_run(tmp_path / "run", ids, pairs)
    report = group(run, Answers(ids), THRESHOLD)
    assert grouped(run) == {frozenset({0, 1}), frozenset({2})}
    assert (report["groups"], report["grouped_records"], report["sizes"], report["cut"]) == (1, 2, {"2": 1}, 1)
    assert {(edge["a"], edge["b"]): edge["kind"] for edge in listed(run, "edges")} == {(0, 1): "holds", (0, 2): "forbids", (1, 2): "cut"}
    assert [(pair["a"], pair["b"], pair["why"]) for pair in listed(run, "review")] == [(1, 2, "contradiction")]
    left_out = write_run(tmp_path / "left out", ids, {(0, 1): YES, (1, 2): YES, (0, 2): YES})
    report = group(left_out, Answers(ids), THRESHOLD, [(2, 1, False), (0, 2, False)])
    assert grouped(left_out) == {frozenset({0, 1}), frozenset({2})}
    assert listed(left_out, "review") == []  # what a person settled is not asked again
    assert report["answers"] == {"yes": 0, "no": 2, "replaced": 0}


def test_pairs_that_are_missing_inside_a_group_are_asked_and_can_break_it(tmp_path):
    ids = ["a1", "a2", "b1", "a3"]
    run = write_run(tmp_path / "run", ids, {(0, 1): (0.99, 0.01, 0.0), (1, 2): (0.8, 0.1, 0.1), (1, 3): (0.9, 0.05, 0.05)})
    ask = Answers(ids)
    report = group(run, ask, THRESHOLD)
    assert sorted(ask.asked) == [(0, 2), (0, 3), (2, 3)]
    assert report["asked_inside"] == 3
    assert grouped(run) == {frozenset({0, 1, 3}), frozenset({2})}
    assert group(run, None, THRESHOLD) == report  # a finished stage asks nothing


def test_people_come_before_the_model(tmp_path):
    ids = ["a", "b", "c", "d", "e"]
    run = write_run(tmp_path / "run", ids, {(0, 1): NO, (1, 2): MAYBE, (3, 4): YES})
    report = group(run, Answers(ids), THRESHOLD, [(0, 1, True), (2, 1, True), (3, 4, False), (3, 4, True), (4, 3, False)])
    assert grouped(run) == {frozenset({0, 1, 2}), frozenset({3}), frozenset({4})}
    assert report["answers"] == {"yes": 2, "no": 1, "replaced": 2}  # of two answers about a pair the later one counts
    by = {(edge["a"], edge["b"]): (edge["kind"], edge["by"]) for edge in listed(run, "edges")}
    assert by == {(0, 1): ("holds", "person"), (1, 2): ("holds", "person"), (3, 4): ("forbids", "person")}


def test_people_who_contradict_each_other_are_told_by_id(tmp_path):
    ids = ["x-1", "x-2", "x-3"]
    run = write_run(tmp_path / "run", ids, {(0, 1): YES, (1, 2): YES, (0, 2): YES})
    report = group(run, Answers(ids), THRESHOLD, [(0, 1, True), (0, 2, False), (1, 2, True)])
    assert grouped(run) == {frozenset({0}), frozenset({1, 2})}  # the later yes is stronger; a no is never overruled by a path
    assert report["contradictions"] == [["x-1", "x-2"]]
    assert [(pair["a"], pair["b"], pair["why"]) for pair in listed(run, "review")] == [(0, 1, "contradiction")]


@pytest.mark.parametrize("answer", [(0, 0, True), (0, 2, True), (-1, 1, False)])
def test_an_answer_about_no_pair_of_the_run_is_an_error(tmp_path, answer):
    run = write_run(tmp_path / "run", ["a", "b"], {(0, 1): YES})
    with pytest.raises(UserError, match="different rows from 0 to 1"):
        group(run, Answers("ab"), THRESHOLD, [answer])


def test_what_waits_for_a_person_is_sorted_and_says_why(tmp_path):
    ids = ["a", "b", "c", "d", "e", "f"]
    pairs = {(0, 1): YES, (2, 3): UNSURE, (0, 2): MAYBE, (1, 2): (0.3, 0.6, 0.1), (4, 5): NO}
    run = write_run(tmp_path / "run", ids, pairs)
    assert group(run, Answers(ids), THRESHOLD)["review"] == 3
    assert [(pair["a"], pair["b"], pair["why"], pair["again"]) for pair in listed(run, "review")] == [
        (2, 3, "below the threshold", False),
        (1, 2, "POSSIBLE", False),
        (0, 2, "POSSIBLE", True),  # of the same two groups: one answer serves both
    ]


def test_no_pair_at_all(tmp_path):
    run = write_run(tmp_path / "run", ["a", "b", "c"], {})
    report = group(run, Answers("abc"), THRESHOLD)
    assert (report["groups"], report["review"], report["sizes"]) == (0, 0, {})
    assert len(grouped(run)) == 3


def test_a_very_large_group_is_asked_in_part(tmp_path):
    ids = [f"{'ab'[number % 2]}{number:03}" for number in range(200)]
    run = write_run(tmp_path / "run", ids, {(row, row + 1): (0.8 + row / 2000, 0.05, 0.05) for row in range(199)})
    ask = Answers(ids)
    report = group(run, ask, THRESHOLD)
    assert report["asked_inside"] == len(ask.asked) == len(set(ask.asked)) < 199 * 100
    assert report["asked_in_part"] == {"groups": 2, "larger_than": missing.WHOLE, "pairs_at_most": missing.MOST}
    assert {frozenset(ids[row][0] for row in one) for one in grouped(run)} == {frozenset("a"), frozenset("b")}
