"""A run under review: what people see of a pair, what their answers change at once, and that no answer is ever lost."""

import dataclasses
import itertools
import json
import multiprocessing
import os
import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_by_rules import match

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import answers
from crm_dedup_plugin.matching.grouping.decided import DUPLICATE, Decided, Reviewed
from crm_dedup_plugin.matching.grouping.local import Local
from crm_dedup_plugin.matching.grouping.resolve import resolve
from crm_dedup_plugin.review import grouped, lists
from crm_dedup_plugin.review.board import Board
from crm_dedup_plugin.review.side_by_side import segments

HEADER = "Record ID,First Name,Last Name,Company name,Email,Phone Number,City,Contact owner"
ROWS = (
    "100,Ann,Lee,Lee & Sons,ann@lee.example,+44 113 496 0958,Leeds,Kim",
    "101,Anne,Lee,Lee and Sons,ann@lee.example,0113 496 0958,Leeds,Kim",
    "102,A.,Lee,Lee & Sons Ltd,ann@lee.example,,York,Kim",
    "103,Bob,Stone,Stone Ltd,bob@stone.example,+44 20 7946 0111,London,Kim",
    "104,Robert,Stone,Stone Ltd,bob@stone.example,020 7946 0111,London,Sam",
    "105,Rob,Stone,Stone,rob@stone.example,,London,Sam",
    '106,"<b>Eve</b>\u202e",Hill,Hill GmbH,eve@hill.example,+49 30 901820,Berlin,Sam',
    "107,Eva,Hill,Hill,eva@hill.example,+49 30 901820,Berlin,Sam",
    "108,Carl,Wood,Wood AG,carl@wood.example,+41 44 668 1800,Bern,Sam",
    "109,Carla,Wood,Wood AG,carla@wood.example,+41 44 668 1800,Bern,Sam",
    "110,Ann,Li,,ann.li@mail.example,,Leeds,Sam",
)
ANN, ANNE, A_LEE, BOB, ROBERT, ROB, EVE, EVA, CARL, CARLA, LI = range(len(ROWS))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of eleven records; the policy decides."""
    folder = tmp_path_factory.mktemp("review")
    match(folder / "run", export(folder / "contacts.csv", *ROWS))
    return folder


@pytest.fixture
def run(made, tmp_path):
    return copied(made, tmp_path)


def copied(made, folder):
    shutil.copytree(made / "run", folder / "run")
    return folder / "run"


def export(path, *rows):
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return path


def plain(found):
    return json.loads(json.dumps(dataclasses.asdict(found)))


def state(board):
    """All that people see of a run, but for the times of answers."""
    pages = [plain(board.queue(name, limit=500)) for name in lists.FILTERS] + [plain(board.groups(name)) for name in grouped.FILTERS]
    groups = [plain(board.group(row)) for row in range(len(ROWS))]
    return pages, groups, plain(dataclasses.replace(board.progress(), can_redo=False)), board.next()


def rows_of(board, row):
    return {one.row for one in board.group(row).members}


# --- what is shown ---


def test_a_pair_is_shown_field_by_field_with_the_letters_that_differ(run):
    board = Board(run)
    pair = board.pair(ANN, ANNE)
    assert plain(pair)["records"][0]["words"] == ["Ann Lee", "Lee & Sons"]
    fields = {field.name: field for field in pair.fields}
    assert (fields["Email"].how, fields["First Name"].how, fields["Phone Number"].how) == ("same", "alike", "same")
    assert [(one.text, one.differs) for one in fields["First Name"].b] == [("Ann", False), ("e", True)]
    assert [name for name, field in fields.items() if not field.evidence] == ["Contact owner"] == list(fields)[-1:]
    assert "Record ID" not in fields
    assert (pair.together, pair.waits, pair.answer) == (True, "", None)
    assert (pair.model.decision, pair.model.says, pair.model.words) == ("DUPLICATE", "same", "almost certainly the same")
    only = {field.name: field for field in board.pair(BOB, ROB).fields}["Phone Number"]
    assert (only.how, only.b, [one.differs for one in only.a]) == ("only in A", [], [False])


def test_fields_that_the_reasoning_names_are_marked(run):
    board = Board(run)
    found = [board.pair(one.a, one.b) for one in board.queue("waiting").items]
    told = [one for one in found if one.model.reasoning]
    assert told
    for pair in told:
        named = {field.concept for field in pair.fields if field.named}
        assert named and named <= {field.concept for field in pair.fields}
        assert all(field.named == (field.concept in named) for field in pair.fields)


def test_what_a_record_holds_is_printable_and_nothing_is_escaped(run):
    pair = Board(run).pair(EVE, EVA)
    first = next(field for field in pair.fields if field.name == "First Name")
    assert "".join(one.text for one in first.a) == "<b>Eve</b>\N{REPLACEMENT CHARACTER}"


@given(a=st.text(max_size=40), b=st.text(max_size=40))
def test_parts_make_up_the_value_and_what_does_not_differ_is_in_both(a, b):
    left, right = segments(a, b)
    assert ("".join(one.text for one in left), "".join(one.text for one in right)) == (a, b)
    if a and b:
        assert "".join(one.text for one in left if not one.differs) == "".join(one.text for one in right if not one.differs) or a != b
        assert (a == b) == (not any(one.differs for one in (*left, *right)))
    assert all(one.text for one in (*left, *right))


def test_lists_are_filtered_searched_and_cut_into_pages(run):
    board = Board(run)
    every = board.queue("all", limit=500)
    assert every.total == len(every.items) == sum(board.queue(name).total for name in ("DUPLICATE", "POSSIBLE", "NO_MATCH"))
    assert [one.duplicate for one in every.items] == sorted((one.duplicate for one in every.items), reverse=True)
    assert board.queue("all", offset=1, limit=2).items == every.items[1:3]
    assert {row for one in board.queue("all", "ROBERT").items for row in (one.a, one.b)} >= {ROBERT}
    assert all(ROBERT in (one.a, one.b) for one in board.queue("all", "Robert").items)
    assert board.queue("all", "nobody").total == 0
    assert {frozenset((one.a, one.b)) for one in board.queue("merges").items} >= {frozenset((ANN, ANNE))}
    assert [one.row for one in board.groups(search="stone").items] == [BOB]
    board.answer([(ANN, ANNE)], "different")
    assert [(one.a, one.b, one.disagrees) for one in board.queue("disagreement").items] == [(ANN, ANNE, True)]
    assert board.queue("different").total == board.queue("answered").total == 1


# --- answers ---


def test_an_answer_changes_groups_plan_and_progress_at_once(run):
    board = Board(run)
    assert rows_of(board, CARL) == {CARL}
    change = board.answer([(CARL, CARLA)], "same", note="one person", drawn="chosen")
    assert change.groups == [CARL, CARLA] and change.progress.answered == 1
    group = board.group(CARLA)
    assert {one.row for one in group.members} == {CARL, CARLA}
    assert [(link.kind, link.by) for link in group.links if {link.a, link.b} == {CARL, CARLA}] == [("holds", "person")]
    assert group.plan.steps and {one.name for one in group.plan.fields if one.conflict} >= {"Email"}
    assert board.pair(CARL, CARLA).answer.note == "one person"
    entry = answers.entries(run)[-1]
    assert entry["model"]["decision"] in ("POSSIBLE", "NO_MATCH") and {"stratum", "weight"} <= entry.keys() and entry["blind"] is False
    board.primary(CARLA)
    choice = next(one for one in board.group(CARL).plan.fields if one.name == "Email")
    assert choice.value == "carla@wood.example"
    board.value(CARL, "Email")
    plan = board.group(CARL).plan
    assert (plan.primary, plan.chosen) == (CARLA, True)
    email = next(one for one in plan.fields if one.name == "Email")
    assert (email.value, email.chosen, email.rows) == ("carl@wood.example", True, [CARL])


def test_the_plan_of_the_next_run_is_the_one_that_was_shown(run, made):
    board = Board(run)
    board.answer([(CARL, CARLA)], "same")
    board.primary(CARLA)
    board.leave_out(ANNE)
    board.value(ANN, "Company name")
    shown = {row: board.group(row) for row in range(len(ROWS))}
    match(run, made / "contacts.csv")
    again = Board(run)
    assert {row: again.group(row) for row in range(len(ROWS))} == shown
    lines = [json.loads(line) for line in (run / "5-plan" / "merge_plan.jsonl").read_text().splitlines()]
    planned = {line["group"]: (line["primary"]["row"], line["steps"], {name: one["value"] for name, one in line["fields"].items()}) for line in lines}
    assert planned == {
        one.row: (one.plan.primary, one.plan.steps, {field.name: field.value for field in one.plan.fields}) for one in shown.values() if one.size > 1
    }


def test_a_record_is_left_out_and_a_group_is_split_and_joined(run):
    board = Board(run)
    together = rows_of(board, ANN)
    assert together == {ANN, ANNE, A_LEE}
    change = board.leave_out(A_LEE)
    assert sorted(map(sorted, change.pairs)) == [[ANN, A_LEE], [ANNE, A_LEE]]
    assert rows_of(board, ANN) == {ANN, ANNE} and rows_of(board, A_LEE) == {A_LEE}
    change = board.join(A_LEE, ANN)
    assert (change.contradicts, len(change.pairs)) == (False, 2)  # what kept the others away is answered anew
    assert rows_of(board, ANN) == together
    board.split([ANN], [ANNE, A_LEE])
    assert rows_of(board, ANNE) == {ANNE, A_LEE} and rows_of(board, ANN) == {ANN}
    board.answer([(ANN, BOB)], "same")
    assert board.answer([(BOB, ANNE)], "same").contradicts


def test_undo_and_redo_go_as_far_as_there_are_answers(run):
    board = Board(run)
    states = [state(board)]
    for act in (
        lambda: board.answer([(CARL, CARLA)], "same"),
        lambda: board.leave_out(ANN),
        lambda: board.answer([(CARL, CARLA)], "unsure"),
        lambda: board.primary(BOB),
        lambda: board.answer([(BOB, EVE)], "skip"),
    ):
        act()
        states.append(state(board))
    board = Board(run)  # another session
    for before in states[-2::-1]:
        assert board.undo().undone
        assert state(board) == before
    assert board.undo() is None
    for after in states[1:]:
        assert not board.redo().undone
        assert state(board) == after
    assert board.redo() is None
    board.undo()
    board.answer([(EVE, EVA)], "same")
    assert board.redo() is None, "a new answer ends it"


moves = st.one_of(
    st.tuples(st.sampled_from(["same", "different", "unsure", "skip"]), st.integers(0, 10), st.integers(0, 10)),
    st.tuples(st.sampled_from(["undo", "redo", "primary", "leave out"]), st.integers(0, 10), st.integers(0, 10)),
)


@settings(max_examples=12, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 1), moves), max_size=12))
def test_whatever_two_windows_and_two_processes_do_nothing_is_lost(made, tmp_path_factory, steps):
    run = copied(made, tmp_path_factory.mktemp("windows"))
    boards, given_answers = [Board(run), Board(run)], 0
    for which, (what, a, b) in steps:
        board = boards[which]
        if what in ("undo", "redo"):
            getattr(board, what)()
        elif what in ("primary", "leave out"):
            if len(rows_of(board, a)) > 1:
                board.primary(a) if what == "primary" else board.leave_out(a)
                given_answers += 1
        elif a != b:
            board.answer([(a, b)], what)
            given_answers += 1
    lines = [json.loads(line) for line in (run / answers.FILE).read_text().splitlines()] if (run / answers.FILE).is_file() else []
    assert sum(line["kind"] != "undo" for line in lines) == given_answers
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    assert state(boards[0]) == state(boards[1]) == state(Board(run))
    current = boards[0]._state
    assert np.array_equal(current.groups, current.local.everything(current.reviewed).groups)


def _answer_many(run, which):
    board = Board(run)
    for other in range(len(ROWS)):
        if other != which:
            board.answer([(which, other)], "unsure", note=f"{which}-{other}")


def test_processes_and_threads_at_once_lose_nothing(run):
    board = Board(run)
    workers = [multiprocessing.get_context("spawn").Process(target=_answer_many, args=(run, 0))]
    workers += [threading.Thread(target=lambda: [board.answer([(CARL, other)], "skip") for other in (ANN, BOB, EVE)]) for _ in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    notes = {entry.get("note") for entry in answers.entries(run)}
    assert len(answers.entries(run)) == 10 + 9 and notes >= {f"0-{other}" for other in range(1, 11)}
    assert board.progress().by_answer == {"same": 0, "different": 0, "unsure": 10, "skip": 3 - 1}


def test_an_answer_that_cannot_be_written_changes_nothing(run, monkeypatch):
    board = Board(run)
    before = state(board)

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="was not saved"):
        board.answer([(CARL, CARLA)], "same")
    with pytest.raises(UserError, match="was not saved"):
        board.leave_out(ANN)
    monkeypatch.undo()
    assert state(board) == before == state(Board(run))


def test_a_record_that_has_changed_is_shown_again(run, made, tmp_path):
    board = Board(run)
    board.answer([(CARL, CARLA)], "different")
    board.answer([(BOB, ROB)], "different")
    assert not board.pair(CARL, CARLA).changed
    rows = [row.replace("Bern", "Chur") if row.startswith("108") else row.replace(",Kim", ",Zoe") for row in ROWS]
    shutil.copytree(run, tmp_path / "again" / "run")
    match(tmp_path / "again" / "run", export(tmp_path / "again" / "contacts.csv", *rows))
    again = Board(tmp_path / "again" / "run")
    assert again.pair(CARL, CARLA).changed and again.pair(CARL, CARLA).answer is None
    assert again.pair(BOB, ROB).answer.answer == "different"  # who owns a record is nothing that it says of its person
    assert again.progress().changed == 1
    again.answer([(CARL, CARLA)], "same")
    assert not again.pair(CARL, CARLA).changed


# --- what comes next ---


def test_the_next_pairs_come_in_the_same_order_and_skipped_ones_at_the_end(run):
    board, seen = Board(run), []
    first = board.next()
    assert board.next(after=(first.a, first.b)) != first == Board(run).next()
    assert board.pair(first.a, first.b).drawn == first.drawn == "stratified"
    while (one := board.next()) and (one.a, one.b) not in seen:
        seen.append((one.a, one.b))
        board.answer([seen[-1]], "skip" if len(seen) == 2 else "different", drawn=one.drawn)
    assert len(seen) == board.queue("all").total
    assert (one.a, one.b) == seen[1], "what was skipped"
    assert board.next(skip=[seen[1]]) is None
    answered = [(min(pair), max(pair)) for pair in seen]
    assert board.before() == answered[-1] and board.before(seen[1]) == answered[0] and board.before(seen[0]) is None
    assert board.following(seen[0]) == answered[1] and board.following(seen[-1]) is None


def test_progress_counts_and_says_what_the_answers_say(run):
    board = Board(run)
    assert board.progress().sentences[0].startswith("No pair is answered yet.")
    seen = []
    while one := board.next():
        seen.append((one.a, one.b))
        said = board.pair(one.a, one.b).model.decision
        board.answer([(one.a, one.b)], "same" if said == "DUPLICATE" else "different", drawn=one.drawn)
    found = board.progress()
    assert found.agreement.value == 1.0 and found.waiting == 0
    assert found.precision.high == 1.0 and found.precision.low == found.precision.value == 1.0, "every pair was answered"
    assert found.missing.high == 0.0
    assert found.until["calibration"] == max(20 - found.by_answer["same"] - found.by_answer["different"], 0)
    assert "100%" in " ".join(found.sentences)
    board.answer([seen[0]], "same" if board.pair(*seen[0]).model.decision != "DUPLICATE" else "different")
    found = board.progress()
    assert 0.5 < found.agreement.value < 1 and f"agrees with you on {found.agreement.value:.1%} (" in " ".join(found.sentences)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda board: board.pair(0, 0), "one record"),
        (lambda board: board.pair(0, 99), "no row of this run"),
        (lambda board: board.pair(0, -1), "no row of this run"),
        (lambda board: board.pair(0, True), "no row of this run"),
        (lambda board: board.pair("0", 1), "no row of this run"),
        (lambda board: board.answer([(0, 1)], "perhaps"), "perhaps"),
        (lambda board: board.answer([(0, 1)], "same", drawn="dice"), "dice"),
        (lambda board: board.answer([], "same"), "0 pairs"),
        (lambda board: board.queue("lost"), "lost"),
        (lambda board: board.groups("lost"), "lost"),
        (lambda board: board.leave_out(LI), "in no group"),
        (lambda board: board.primary(LI), "in no group"),
        (lambda board: board.value(ANN, "Fax"), "Fax"),
    ],
)
def test_what_makes_no_sense_is_an_error_and_keeps_nothing(run, act, message):
    with pytest.raises(UserError, match=message):
        act(Board(run))
    assert answers.entries(run) == []


def test_groups_of_two_files_are_shown_and_have_no_plan(tmp_path):
    match(tmp_path / "run", export(tmp_path / "one.csv", *ROWS[:4]), export(tmp_path / "two.csv", *ROWS[4:]))
    board = Board(tmp_path / "run")
    group = board.group(BOB)
    assert {one.row for one in group.members} >= {BOB, ROBERT} and group.plan is None
    assert [one.place for one in group.members[:2]] == ["id 103, line 5 of one.csv", "id 104, line 2 of two.csv"]
    assert board.leave_out(ROBERT).progress.records_removed == 0
    assert rows_of(board, ROBERT) == {ROBERT}


def test_a_run_without_a_plan_cannot_be_reviewed(run):
    shutil.rmtree(run / "5-plan")
    with pytest.raises(UserError, match="no finished stage 'plan'"):
        Board(run)


# --- groups in part are the groups of the whole ---


@st.composite
def worlds(draw):
    size = draw(st.integers(2, 12))
    every = list(itertools.combinations(range(size), 2))
    kinds = st.sampled_from([(0.95, 0.04, 0.01), (0.85, 0.1, 0.05), (0.6, 0.3, 0.1), (0.2, 0.7, 0.1), (0.05, 0.05, 0.9)])
    said = draw(st.dictionaries(st.sampled_from(every), kinds))
    inside = {pair: draw(kinds) for pair in draw(st.lists(st.sampled_from(every), unique=True)) if pair not in said}
    steps = draw(st.lists(st.tuples(st.sampled_from(every), st.sampled_from([True, False, None])), max_size=8))
    return SimpleNamespace(size=size, said=said, inside=inside, steps=steps, order=np.array(draw(st.permutations(range(size)))))


def decided(table):
    rows = np.array(list(table.values()), np.float32).reshape(-1, 3)
    return Decided(np.array(list(table), np.int64).reshape(-1, 2), rows, rows.argmax(axis=1).astype(np.int8))


@settings(max_examples=150, deadline=None)
@given(world=worlds())
def test_groups_resolved_in_part_are_those_of_a_full_run(world):
    local = Local(decided(world.said), decided(world.inside), 0.79, world.order)
    groups, given_answers = local.everything(Reviewed.of((), world.size)).groups.copy(), {}
    for pair, same in world.steps:
        given_answers.pop(pair, None)
        given_answers |= {} if same is None else {pair: same}
        reviewed = Reviewed.of([(*one, yes) for one, yes in given_answers.items()], world.size)
        part = local.around(pair, reviewed)
        groups[part.rows] = part.groups
        assert np.array_equal(groups, local.everything(reviewed).groups)
    if not world.inside:
        full = resolve(decided(world.said), Reviewed.of([(*one, yes) for one, yes in given_answers.items()], world.size), 0.79, world.order)
        assert np.array_equal(groups, full.groups)
    assert local.decided.labels.tolist().count(DUPLICATE) == sum(max(row) == row[0] for row in world.said.values())
