"""What people answer about a run: it is on the disk before anything else happens, survives new runs, and changes groups and plan."""

import json
import multiprocessing
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from match_by_rules import match

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import answers, run_folder
from crm_dedup_plugin.matching.answers import Answers
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.matching.records import Records

HEADER = "Record ID,First Name,Last Name,Email,City,Contact owner"
ROWS = ("0017,Ann,Lee,ann@lee.example,Leeds,Kim", "18,Anne,Lee,ann@lee.example,Leeds,Kim", "19,Bob,Stone,bob@stone.example,York,Kim")


def export(path, *rows):
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path):
    """A run of three records, two of which are one person; the policy decides."""
    match(tmp_path / "run", export(tmp_path / "contacts.csv", *ROWS))
    return tmp_path / "run"


def answer(run, a, b, said, **more):
    records = Records(run)
    pair = [answers.reference(records, row) for row in (a, b)]
    return answers.append(run, {"kind": answers.PAIR, "answer": said, "pairs": [pair], **more})


def plan(run):
    return [json.loads(line) for line in (run / "5-plan" / "merge_plan.jsonl").read_text().splitlines()]


def test_a_yes_joins_and_a_no_forbids_in_every_later_run(run, tmp_path):
    before = match(run, tmp_path / "contacts.csv")[0]
    assert before["group"]["groups"] == 1
    answer(run, 0, 1, answers.DIFFERENT)
    answer(run, 2, 1, answers.SAME)
    found, asked = match(run, tmp_path / "contacts.csv")
    assert asked == 0, "nothing was asked again"
    assert found["group"]["answers"] == {"yes": 1, "no": 1, "replaced": 0}
    assert [sorted(one["id"] for one in (line["primary"], *line["merged"])) for line in plan(run)] == [["18", "19"]]
    match(run, export(tmp_path / "contacts.csv", *ROWS[::-1], "20,New,Person,new@person.example,Hull,Kim"))
    assert [sorted(one["id"] for one in (line["primary"], *line["merged"])) for line in plan(run)] == [["18", "19"]], "rows have moved"


def test_the_last_answer_counts_and_unsure_takes_one_back(run):
    for said, expected in (("same", True), ("different", False), ("skip", False), ("unsure", None), ("same", True)):
        answer(run, 1, 0, said)
        assert Answers.of(run, Records(run)).same_or_not == ([] if expected is None else [(0, 1, expected)]), said


def test_an_undo_is_an_entry_of_its_own_and_can_be_undone(run):
    first = answer(run, 0, 1, answers.SAME)
    undone = answers.append(run, {"kind": answers.UNDO, "of": first["n"]})
    assert answers.entries(run) == []
    answers.append(run, {"kind": answers.UNDO, "of": undone["n"]})
    assert answers.entries(run) == [first]
    assert len((run / answers.FILE).read_text().splitlines()) == 3


def test_an_answer_about_a_record_that_has_changed_is_not_used(run, tmp_path):
    answer(run, 0, 1, answers.DIFFERENT)
    match(run, export(tmp_path / "contacts.csv", ROWS[0].replace("Kim", "Joe"), *ROWS[1:]))
    assert len(Answers.of(run, Records(run)).pairs) == 1, "another owner is no other person"
    match(run, export(tmp_path / "contacts.csv", ROWS[0].replace("Leeds", "Hull"), *ROWS[1:]))
    found = Answers.of(run, Records(run))
    assert found.pairs == [] and found.changed == 1
    match(run, export(tmp_path / "contacts.csv", *ROWS[1:]))
    assert Answers.of(run, Records(run)).changed == 1, "nor about one that is gone"


def test_records_without_ids_are_found_by_what_they_say(tmp_path):
    def write(*rows):
        lines = ["Name,Email,City", *rows]
        (tmp_path / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / "list.csv"

    rows = ("Ann Lee,ann@lee.example,Leeds", "Anne Lee,ann@lee.example,Leeds", "Bob Stone,bob@stone.example,York")
    match(tmp_path / "run", write(*rows))
    answer(tmp_path / "run", 0, 1, answers.DIFFERENT)
    match(tmp_path / "run", write("Zoe Hall,zoe@hall.example,Bath", *rows))
    assert Answers.of(tmp_path / "run", Records(tmp_path / "run")).same_or_not == [(1, 2, False)]


def test_a_person_chooses_the_record_that_stays_and_its_values(run, tmp_path):
    records = Records(run)
    stays = plan(run)[0]["primary"]["row"]
    other = 1 - stays
    answers.append(run, {"kind": answers.PRIMARY, "record": answers.reference(records, other)})
    answers.append(run, {"kind": answers.VALUE, "field": "First Name", "record": answers.reference(records, stays)})
    match(run, tmp_path / "contacts.csv")
    line = plan(run)[0]
    assert line["primary"]["row"] == other
    assert line["fields"]["First Name"]["value"] == records.values(stays)["First Name"]
    assert line["fields"]["First Name"]["rule"] == "chosen by a person" and line["fields"]["First Name"]["changed"]
    assert line["steps"][0]["body"] == {"properties": {"firstname": records.values(stays)["First Name"]}}


def test_half_a_line_is_ignored_and_then_cut(run):
    first = answer(run, 0, 1, answers.SAME)
    with (run / answers.FILE).open("ab") as file:
        file.write(b'{"n": 2, "kind": "pa')
    assert answers.entries(run) == [first]
    second = answer(run, 0, 2, answers.DIFFERENT)
    assert second["n"] == 2 and answers.entries(run) == [first, second]


def test_a_line_that_is_no_answer_is_named(run):
    answer(run, 0, 1, answers.SAME)
    with (run / answers.FILE).open("a") as file:
        file.write("ann@lee.example is the same\n")
    with pytest.raises(UserError, match=r"decisions\.jsonl, line 2, is no answer") as error:
        answers.entries(run)
    assert "ann@lee" not in str(error.value)


def test_an_answer_that_cannot_be_saved_is_an_error_and_leaves_no_trace(run):
    answer(run, 0, 1, answers.SAME)
    before = (run / answers.FILE).read_bytes()
    import resource

    size, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, hard))
        with pytest.raises(UserError, match="the answer was not saved"):
            answer(run, 0, 2, answers.SAME, note="n" * 50_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    assert (run / answers.FILE).read_bytes() == before


def _append(run, process):
    for number in range(20):
        answers.append(run, {"kind": answers.PRIMARY, "record": {"file": "f", "id": f"{process}-{number}", "sha256": ""}})


def test_several_processes_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(tmp_path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = answers.entries(tmp_path)
    assert [one["n"] for one in found] == list(range(1, 81))
    assert len({one["record"]["id"] for one in found}) == 80


def test_another_calibration_asks_nothing_anew(run, tmp_path, monkeypatch):
    from match_by_rules import Rules

    learned = Calibration(1.0, 0.98, True, slope=1.0, bias=-20.0, review_from=0.001)
    monkeypatch.setattr(Rules, "calibration", learned)
    found, asked = match(run, tmp_path / "contacts.csv")
    assert asked == 0 and found["group"]["groups"] == 0 and found["decide"]["decisions"]["DUPLICATE"] == 0
    assert run_folder.report(run, "decide")["calibration"]["slope"] == 1.0


PROBABILITIES = st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=3).map(lambda row: [one / sum(row) for one in row])


@given(st.lists(PROBABILITIES, min_size=1, max_size=20), st.floats(0.05, 20))
def test_a_temperature_never_changes_a_decision(rows, temperature):
    found = Calibration(temperature).apply(rows)
    assert np.allclose(found.sum(axis=1), 1)
    clear = np.ptp(np.sort(rows, axis=1)[:, 1:], axis=1) > 1e-3
    assert np.array_equal(Calibration(temperature).labels(found)[clear], np.argmax(rows, axis=1)[clear])


@given(st.lists(PROBABILITIES, min_size=2, max_size=20), st.floats(0.1, 5), st.floats(-5, 5), st.floats(0.01, 0.5), st.floats(0.5, 0.99))
def test_what_was_learned_decides_by_two_thresholds_and_keeps_the_order(rows, slope, bias, low, high):
    learned = Calibration(1.0, high, True, slope, bias, low)
    found = learned.apply(rows)
    labels = learned.labels(found)
    assert np.allclose(found.sum(axis=1), 1) and not found[:, 1].any()
    assert all((label == 0) == (same >= high) and (label == 2) == (same < low) for label, same in zip(labels, found[:, 0], strict=True))
    odds = [np.log(row[0] / row[2]) for row in rows]
    order = random.Random(0).sample(range(len(rows)), 2)
    a, b = sorted(order, key=lambda at: odds[at])
    assert found[a, 0] <= found[b, 0] + 1e-9
