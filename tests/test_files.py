"""Files of pairs: whatever the lines hold, each is read as a pair or named with its number and what to do."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import DataError, Pair, each_pair, parse_pairs, read_pairs, read_rows
from crm_dedup_plugin.pair.record import Record, normalise, to_json

QUICK = settings()
RECORDS = {"record_a": {"name": " Ann ", "zip": 10115, "fax": None}, "record_b": {"name": "Bo"}}
A, B = {"name": "Ann", "zip": "10115"}, {"name": "Bo"}

values = st.text(max_size=8) | st.none() | st.booleans() | st.integers() | st.floats()
records = st.dictionaries(st.text(max_size=8), values, max_size=4)
json_values = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6)
keys = st.sampled_from(("record_a", "record_b", "input", "output", "label", "id", "pair_id", "slice", "cluster_a"))
objects = st.dictionaries(keys, records | json_values, max_size=6)
usable = st.fixed_dictionaries({"record_a": st.just({"n": "a"}), "record_b": records.map(lambda record: {**record, "m": "b"})})
lines = (
    st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))
    | (objects | json_values).map(lambda value: json.dumps(value).encode())
    | usable.map(lambda value: json.dumps(value).encode())
)


def text(*rows: object) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def test_all_kinds_of_pairs_are_read_alike(tmp_path):
    answer = {"decision": "POSSIBLE", "reasoning": "Names differ."}
    rows = [
        {"input": RECORDS, "output": answer, "id": 7, "slice": "typo", "cluster_a": "x", "cluster_b": 3},
        {**RECORDS, "label": 1, "pair_id": "p1", "source": "a register"},
        {**RECORDS, "label": False},
        {"input": RECORDS},
        RECORDS,
    ]
    (tmp_path / "pairs.jsonl").write_bytes(b"\xef\xbb\xbf" + text(rows[0], b"\r\n", *rows[1:]))
    assert read_pairs(tmp_path / "pairs.jsonl") == [
        Pair(A, B, "POSSIBLE", "7", "typo", "x", "3", line=1),
        Pair(A, B, 1, "p1", line=3),
        Pair(A, B, 0, line=4),
        Pair(A, B, line=5),
        Pair(A, B, line=6),
    ]
    found = read_pairs(tmp_path / "pairs.jsonl", limit=3)
    assert [pair.name for pair in found] == ["7", "p1", "line 4"]
    assert all(isinstance(record, Record) for pair in found for record in pair.records)


@QUICK
@given(st.lists(lines, max_size=8))
def test_every_line_is_a_pair_or_an_error_that_names_it(made):
    content = b"\n".join(made)
    found = list(each_pair(io.BytesIO(content), "standard input"))
    assert len(found) <= len(made)
    for one in found:
        if isinstance(one, Pair):
            assert one.label in (*LABELS, 0, 1, None) and all(normalise(dict(record)) == (record, []) for record in one.records)
            json.dumps(one).encode()
            assert [to_json(record) for record in one.records] == [to_json(dict(record)) for record in one.records]
    numbers = [one.line if isinstance(one, Pair) else int(str(one).split("standard input, line ")[1].split(":")[0]) for one in found]
    assert numbers == sorted(set(numbers))
    assert [number for number, line in enumerate(made, start=1) if number not in numbers and json_object(line)] == []
    errors = [str(one) for one in found if isinstance(one, DataError)]
    try:
        assert parse_pairs(io.BytesIO(content), "standard input") == found and not errors
    except DataError as error:
        assert str(error).split("\n") == errors or not found


def json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"record_a": {"n": 1}}, "record_b: missing: a pair holds record_a and record_b"),
        ({"record_a": {"n": 1}, "record_b": {}}, "record_b: is empty: give at least one field"),
        ({"input": {"record_a": {"n": 1}}}, "input.record_b: missing: add it"),
        ({**RECORDS, "label": 2}, "label: 2 must be 1 (the same entity) or 0 (different ones)"),
        ({**RECORDS, "label": [1]}, "label: [1] must be 1"),
        ({"input": RECORDS, "output": "DUPLICATE"}, "output: missing or not an object"),
        ({"input": RECORDS, "output": {"decision": "MAYBE"}}, "output.decision: 'MAYBE' is unknown: use DUPLICATE, POSSIBLE, NO_MATCH"),
        ({**RECORDS, "id": {}}, "id: must be text or a whole number"),
        (b"\xff\n", "byte 1 is not UTF-8: save the file as UTF-8"),
        (b"[]\n", "not an object"),
    ],
)
def test_one_bad_line_among_thousands_is_named(tmp_path, row, message):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(text(*[RECORDS] * 2000, row, *[RECORDS] * 10))
    with pytest.raises(DataError) as error:
        read_pairs(path)
    assert str(error.value).startswith(f"{path}, line 2001: {message}") and "\n" not in str(error.value)
    assert len(read_pairs(path, limit=2000)) == 2000


def test_where_labels_are_needed_a_pair_without_one_is_named(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(text({**RECORDS, "label": 1}, RECORDS, {"input": RECORDS, "output": {"decision": "POSSIBLE"}}))
    with pytest.raises(DataError) as error:
        read_pairs(path, labels=(0, 1))
    assert str(error.value).split("\n") == [
        f"{path}, line 2: label: None is not expected here: use 0, 1",
        f"{path}, line 3: label: 'POSSIBLE' is not expected here: use 0, 1",
    ]


@pytest.mark.parametrize("read", [read_pairs, read_rows])
def test_no_file_and_an_empty_file_are_errors_with_a_cure(tmp_path, read):
    with pytest.raises(DataError, match=r"none\.jsonl does not exist: run this first"):
        read(tmp_path / "none.jsonl", cure="run this first")
    with pytest.raises(DataError, match="is a folder: name a file of pairs, one JSON object a line"):
        read(tmp_path)
    (tmp_path / "empty.jsonl").write_bytes(b"\n \r\n")
    with pytest.raises(DataError, match=r"empty\.jsonl: no pairs in it: add one JSON object a line"):
        read(tmp_path / "empty.jsonl")
