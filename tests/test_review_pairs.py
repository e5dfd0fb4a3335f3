"""A file of pairs under review: with what a model decided about them, and without."""

import dataclasses
import json
import time

import numpy as np
import pytest

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import answers
from crm_dedup_plugin.matching.grouping.decided import Decided
from crm_dedup_plugin.pair.files import Pair
from crm_dedup_plugin.review.pair_board import PairBoard, PairRecords
from crm_dedup_plugin.review.questions import Questions
from crm_dedup_plugin.review.state import Material

PAIRS = [
    {"record_a": {"Name": "Ann Lee", "E-Mail": "ann@lee.example"}, "record_b": {"Full Name": "Lee, Ann", "Email": "ann@lee.example"}},
    {"id": "p-2", "record_a": {"Name": "Bob"}, "record_b": {"Name": "Rob"}},
    {"id": "twice", "record_a": {"Name": "Eve"}, "record_b": {"Name": "Eva"}},
    {"id": "twice", "record_a": {"Name": "Carl"}, "record_b": {"Name": "Carla", "Note": "<b>"}},
]
DECISIONS = [
    {"line": 1, "decision": "DUPLICATE", "probabilities": {"DUPLICATE": 0.998, "POSSIBLE": 0.002, "NO_MATCH": 0.0}, "reasoning": "E-mail same."},
    {"line": 2, "error": "line 2: record_a: is empty"},
    {"line": 3, "decision": "POSSIBLE", "probabilities": {"DUPLICATE": 0.2, "POSSIBLE": 0.7, "NO_MATCH": 0.1}, "reasoning": None},
    {"line": 4, "decision": "NO_MATCH", "probabilities": {"DUPLICATE": 0.0, "POSSIBLE": 0.1, "NO_MATCH": 0.9}},
]


def lines(path, objects):
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


def test_pairs_that_no_model_saw_all_wait_and_are_answered(tmp_path):
    board = PairBoard(lines(tmp_path / "pairs.jsonl", PAIRS), tmp_path / "runs" / "pairs")
    assert board.has_groups is False
    assert board.queue("waiting").total == board.progress().waiting == 4
    pair = board.pair(0, 1)
    assert (pair.model, pair.waits, pair.records[1].id) == (None, "", "1/b")
    assert [(field.name, field.how) for field in pair.fields] == [("Name / Full Name", "same"), ("E-Mail / Email", "same")]
    seen = []
    while one := board.next():
        seen.append((one.a, one.b))
        board.answer([seen[-1]], "same" if len(seen) % 2 else "different", drawn=one.drawn)
    assert sorted(seen) == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert board.progress().agreement is None and board.queue("waiting").total == 0
    assert [[ref["id"] for ref in pair] for entry in answers.entries(tmp_path / "runs" / "pairs") for pair in entry["pairs"]]
    ids = {ref["id"] for entry in answers.entries(tmp_path / "runs" / "pairs") for pair in entry["pairs"] for ref in pair}
    assert ids == {"1/a", "1/b", "p-2/a", "p-2/b", "3/a", "3/b", "4/a", "4/b"}  # an id that stands twice names nothing
    again = PairBoard(tmp_path / "pairs.jsonl", tmp_path / "runs" / "pairs")
    assert dataclasses.replace(again.progress(), can_redo=False) == board.progress()
    assert board.undo().undone and board.queue("waiting").total == 1


def test_what_a_model_decided_is_shown(tmp_path):
    decisions = lines(tmp_path / "decisions.jsonl", DECISIONS)
    board = PairBoard(lines(tmp_path / "pairs.jsonl", PAIRS), tmp_path / "run", decisions)
    pair = board.pair(0, 1)
    assert (pair.model.decision, pair.model.says, pair.together) == ("DUPLICATE", "same", True)
    assert {field.concept for field in pair.fields if field.named} == {"email"}
    assert [(one.a, one.decision, one.waits) for one in board.queue("waiting").items] == [(4, "POSSIBLE", "POSSIBLE"), (2, None, "")]
    board.answer([(0, 1)], "different")
    assert not board.pair(0, 1).together and board.progress().agreement.value == 0.0
    assert json.dumps(dataclasses.asdict(board.pair(6, 7)))


def test_a_pair_whose_record_has_changed_is_shown_again(tmp_path):
    board = PairBoard(lines(tmp_path / "pairs.jsonl", PAIRS), tmp_path / "run")
    for a in (0, 2, 4):
        board.answer([(a, a + 1)], "same")
    changed = [PAIRS[0], {**PAIRS[1], "record_b": {"Name": "Roberta"}}, *PAIRS[2:]]
    again = PairBoard(lines(tmp_path / "pairs.jsonl", changed), tmp_path / "run")
    assert again.pair(2, 3).changed and again.pair(2, 3).answer is None
    assert again.pair(0, 1).answer.answer == again.pair(4, 5).answer.answer == "same"


def test_files_that_do_not_fit_are_errors(tmp_path):
    pairs = lines(tmp_path / "pairs.jsonl", PAIRS)
    for wrong in ({"line": 9}, {"line": 1, "decision": "MAYBE"}, {"line": 1, "decision": "POSSIBLE", "probabilities": {}}):
        with pytest.raises(UserError, match="decision 1: is about no line"):
            PairBoard(pairs, tmp_path / "run", lines(tmp_path / "decisions.jsonl", [wrong]))
    with pytest.raises(UserError, match="does not exist"):
        PairBoard(tmp_path / "none.jsonl", tmp_path / "run")
    board = PairBoard(pairs, tmp_path / "run")
    for act in (board.groups, lambda: board.group(0)):
        with pytest.raises(UserError, match="no groups"):
            act()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        PairBoard(pairs, tmp_path / "file" / "run")


def test_an_answer_takes_a_tenth_of_a_second_where_ten_thousand_pairs_wait(tmp_path):
    rng, size, count = np.random.default_rng(0), 26_000, 100_000
    pairs = np.unique(np.sort(rng.integers(0, size, (count + 2_000, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    rows = rng.choice([(0.99, 0.005, 0.005), (0.3, 0.6, 0.1), (0.01, 0.01, 0.98)], len(pairs), p=[0.05, 0.12, 0.83]).astype(np.float32)
    rows = rows * rng.uniform(0.9, 1.0, (len(pairs), 1)).astype(np.float32)
    decided = Decided(pairs, rows, rows.argmax(axis=1).astype(np.int8))
    records = PairRecords(tmp_path / "pairs.jsonl", [Pair({"Name": f"Ann {at}"}, {"Name": f"Anne {at}"}, line=at + 1) for at in range(size // 2)])
    none = Decided(np.empty((0, 2), np.int64), np.empty((0, 3), np.float32), np.empty(0, np.int8))
    board = Questions()
    board._open(tmp_path, Material(records, decided, none, 0.9, np.arange(size), np.zeros(len(pairs), np.int64), {}), 0)
    assert board.progress().waiting > 10_000
    taken = []
    for said in ("same", "different", "same", "same", "different", "unsure"):
        began = time.process_time()  # what the machine does beside does not count
        one = board.queue("waiting", limit=20).items[0] if said == "same" else board.next()
        board.answer([(one.a, one.b)], said, drawn=getattr(one, "drawn", "chosen"))
        taken.append(time.process_time() - began)
    assert min(taken) < 0.1
    while board.undo():
        pass
    assert board.progress().answered == 0
