"""Data preparation: wrong data give one message that says what to correct and where, and nothing is written."""

import json
import re
from pathlib import Path

import pytest

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import MAX_ERRORS


def row(number: int, **changes) -> dict:
    records = {"record_a": {"name": f"left {number}"}, "record_b": {"name": f"right {number}"}}
    return {"id": f"r{number}", "input": records, "output": {"decision": LABELS[number % 3], "reasoning": "names differ"}} | changes


def record(value: object) -> dict:
    return row(2, input={"record_a": value, "record_b": {"name": "x"}})


def without(outer: str, inner: str | None = None) -> dict:
    changed = row(2)
    del (changed[outer] if inner else changed)[inner or outer]
    return changed


def answer(**changes) -> dict:
    return row(2, output={"decision": "POSSIBLE", "reasoning": "x"} | changes)


def text(rows) -> bytes:
    return b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in rows)


def run(tmp_path: Path, content: bytes, *options: str) -> tuple[int, Path]:
    (tmp_path / "all.jsonl").write_bytes(content)
    out = tmp_path / "out"
    return main(["prepare", "--data", str(tmp_path / "all.jsonl"), "--out", str(out), *options]), out


BAD = {  # line 3, and what the message says of it: the field and the cure
    "not JSON": (b"{'id': 1}\n", "not JSON", "double quotes"),
    "a pretty-printed object": (b"{\n", "not JSON", "one object a line"),
    "an array": ([1], "not an object", 'write {"input"'),
    "no input": (without("input"), "input: missing", "record_a and record_b"),
    "no output": (without("output"), "output: missing", "decision and reasoning"),
    "no record": (without("input", "record_a"), "input.record_a: missing", "add it"),
    "no decision": (without("output", "decision"), "output.decision: missing", "add it"),
    "no reasoning": (without("output", "reasoning"), "output.reasoning: missing", "add it"),
    "an unknown key": (row(2, label=1), "label: unknown key", "use cluster_a, cluster_b, id"),
    "an unknown key inside": (answer(score=1), "output.score: unknown key", "use decision and reasoning"),
    "an unknown decision": (answer(decision="MAYBE"), "output.decision: 'MAYBE'", "use DUPLICATE, POSSIBLE, NO_MATCH"),
    "a decision in lower case": (answer(decision="duplicate"), "output.decision: 'duplicate'", "use DUPLICATE"),
    "a decision that is no text": (answer(decision=["DUPLICATE"]), "output.decision", "use DUPLICATE"),
    "a blank reasoning": (answer(reasoning=" \n"), "output.reasoning", "say which fields decide"),
    "a reasoning that is no text": (answer(reasoning=3), "output.reasoning", "must be a sentence"),
    "a list as record": (record([]), "input.record_a: must be an object", "write {"),
    "a text as record": (record("Ann"), "input.record_a: must be an object", "not text"),
    "an empty record": (record({}), "input.record_a: is empty", "at least one field"),
    "a blank record": (record({"a": " ", "b": None, " ": "x"}), "input.record_a: is empty", "at least one field"),
    "a nested value": (record({"address": {"city": "Rome"}}), "input.record_a: field 'address'", "flatten it"),
    "NaN": (record({"score": float("nan")}), "field 'score' is not a finite number", "leave it out"),
    "a number beyond all": (json.dumps(record({"score": 0})).replace("0}", "1e999}").encode() + b"\n", "field 'score'", "leave it out"),
    "Latin-1": (json.dumps(row(2)).encode().replace(b"left", b"Andr\xe9") + b"\n", "is not UTF-8", "save the file as UTF-8"),
    "a repeated id": (row(2, id="r0"), "id: 'r0' is already on line 1", "make ids unique"),
    "a repeated id, as a number": (row(2, id=1), "id: 1 is already on line 2", "make ids unique"),
    "a list as id": (row(2, id=[1]), "id: must be text", "a whole number"),
    "a fraction as cluster": (row(2, cluster_a=1.5), "cluster_a: must be text", "a whole number"),
    "deep nesting": (b"[" * 100_000 + b"\n", "nested too deeply", "flat object"),
    "deep nesting that ends": (b"[" * 100_000 + b"]" * 100_000 + b"\n", "nested too deeply", "flat object"),
    "a huge integer": (json.dumps(record({"n": 0})).replace("0}", "9" * 5000 + "}").encode() + b"\n", "digits", "write it as text"),
}


@pytest.mark.parametrize(("line", "what", "cure"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_refused_with_file_line_field_and_cure(tmp_path, capsys, line, what, cure):
    content = [row(1, id="r0"), row(2, id=1), line, *map(row, range(3, 60))]
    if line == b"{\n":  # an object over several lines is one mistake a line: look at the first alone
        content = content[:3]
    code, out = run(tmp_path, text(content))
    message = capsys.readouterr().err
    assert code == 1
    assert message.startswith(f"error: {tmp_path / 'all.jsonl'}, line 3: ")
    assert what in message and cure in message
    assert len(message) < 500 and len(message.splitlines()) == 1
    assert not out.exists()


WHOLE = {
    "an empty file": (b"", "no pairs in it: add one JSON object a line"),
    "blank lines": (b"\n \n\r\n", "no pairs in it: add one JSON object a line"),
    "one decision missing": (text(row(3 * number) for number in range(30)), "POSSIBLE 0, NO_MATCH 0): add pairs of POSSIBLE and NO_MATCH"),
    "too few of a decision": (text(map(row, range(8))), "too few examples in the data (DUPLICATE 3, POSSIBLE 3, NO_MATCH 2)"),
    "UTF-16": ("\n".join(json.dumps(row(n)) for n in range(30)).encode("utf-16"), "line 1: byte 1 is not UTF-8: save the file as UTF-8"),
}


@pytest.mark.parametrize(("content", "message"), WHOLE.values(), ids=WHOLE.keys())
def test_a_file_that_cannot_be_used_is_refused(tmp_path, capsys, content, message):
    code, out = run(tmp_path, content)
    assert (code, out.exists()) == (1, False)
    assert message in capsys.readouterr().err


def test_a_folder_as_data_is_refused(tmp_path, capsys):
    assert main(["prepare", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    cure = "name a file of labelled pairs with --data, or generate a demo set with --demo 1500"
    assert capsys.readouterr().err == f"error: {tmp_path} is a folder: {cure}\n"


@pytest.mark.parametrize("fractions", [("0.8", "0.2", "0"), ("80", "10", "10"), ("nan", "0.5", "0.5"), ("1.2", "-0.1", "-0.1")])
def test_bad_fractions_are_refused(tmp_path, capsys, fractions):
    code, out = run(tmp_path, text(map(row, range(60))), "--fractions", *fractions)
    assert (code, out.exists()) == (1, False)
    assert "must be three positive numbers that add up to 1, as in 0.8 0.1 0.1" in capsys.readouterr().err


def test_all_errors_are_reported_up_to_the_limit(tmp_path, capsys):
    bad = {2: b"x\n", 5: row(1, label=1), 6: json.dumps(row(6)).encode().replace(b"left", b"\xff") + b"\n", 9: row(1, id="r0")}
    assert run(tmp_path, text(bad.get(number, row(number - 1)) for number in range(1, 40)))[0] == 1
    message = capsys.readouterr().err
    assert re.findall(r", line (\d+): ", message) == ["2", "5", "6", "9"]
    assert len(message.splitlines()) == 4
    assert run(tmp_path, b"x\n" * 100)[0] == 1
    message = capsys.readouterr().err
    assert re.findall(r", line (\d+): ", message) == [str(number) for number in range(1, MAX_ERRORS + 1)]
    assert message.endswith(f"(stopped after {MAX_ERRORS} errors)\n")


def test_bad_data_leave_earlier_splits_as_they_are(tmp_path):
    _, out = run(tmp_path, text(map(row, range(60))))
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert run(tmp_path, b"x\n")[0] == 1
    assert {path: path.read_bytes() for path in out.iterdir()} == before
