"""Data preparation: from right data, whole and disjoint splits; the same data give the same bytes."""

import hashlib
import io
import json
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset.prepare import DEMO_PAIRS, TRAINED, in_prompt_order, prepare
from crm_dedup_plugin.dataset.splits import SPLITS, SplitError
from crm_dedup_plugin.pair.answer import LABELS, MAX_REASONING_CHARS, exchange_sides
from crm_dedup_plugin.pair.files import DataError
from crm_dedup_plugin.pair.prompt import ask
from crm_dedup_plugin.pair.record import MAX_FIELD_CHARS, normalise, to_json


def row(number: int, **changes) -> dict:
    records = {"record_a": {"name": f"left {number}"}, "record_b": {"name": f"right {number}"}}
    output = {"decision": LABELS[number % 3], "reasoning": "names differ"}
    return {"id": f"r{number}", "slice": "test", "cluster_a": f"c{number // 2}", "input": records, "output": output} | changes


def text(rows) -> bytes:
    return b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in rows)


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def run(tmp_path: Path, content: bytes, *options: str) -> tuple[int, Path]:
    (tmp_path / "all.jsonl").write_bytes(content)
    out = tmp_path / "out"
    return main(["prepare", "--data", str(tmp_path / "all.jsonl"), "--out", str(out), *options]), out


def test_right_data_become_three_disjoint_files_and_a_summary(tmp_path, capsys):
    code, out = run(tmp_path, text(row(number) for number in range(120)))
    assert (code, sorted(path.name for path in out.iterdir())) == (0, ["summary.json", "test.jsonl", "train.jsonl", "val.jsonl"])
    summary, printed = json.loads((out / "summary.json").read_text()), capsys.readouterr().out
    parts = {name: read(out / f"{name}.jsonl") for name in SPLITS}
    assert sorted(one["id"] for part in parts.values() for one in part) == sorted(f"r{number}" for number in range(120))
    for name, part in parts.items():
        described = summary["splits"][name]
        assert described["pairs"] == sum(described["decisions"].values()) == described["slices"]["test"] == len(part)
        assert described["sha256"] == hashlib.sha256((out / f"{name}.jsonl").read_bytes()).hexdigest()
        assert f"{name}.jsonl: {len(part)} pairs (DUPLICATE" in printed
    clusters = [{one["cluster_a"] for one in part} for part in parts.values()]
    assert len(set.union(*clusters)) == sum(map(len, clusters)) == 60


def test_without_data_a_demo_set_is_made_and_announced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", "--out", "out"]) == 0
    assert f"data/all.jsonl does not exist: using a generated demo set of {DEMO_PAIRS} pairs" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sum(len(read(tmp_path / "out" / f"{name}.jsonl")) for name in SPLITS) == DEMO_PAIRS


def test_the_default_file_is_read_where_it_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "all.jsonl").write_bytes(text(map(row, range(60))))
    assert main(["prepare"]) == 0
    assert sum(len(read(tmp_path / "data" / "splits" / f"{name}.jsonl")) for name in SPLITS) == 60


@pytest.mark.parametrize("name", ["elsewhere/all.jsonl", "data/all.jsonl", "pairs.jsonl"])
def test_a_file_that_is_named_and_missing_is_an_error(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", "--data", name, "--out", "out"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {name} does not exist: name a file of labelled pairs with --data, or generate")
    assert list(tmp_path.iterdir()) == []


def test_pairs_to_train_with_are_written_in_the_order_of_the_prompt_and_reasonings_follow(tmp_path):
    def turned(number: int) -> dict:
        records = {"record_a": {"name": f"right {number}", "tel": "1"}, "record_b": {"name": f"left {number}"}}
        output = {"decision": LABELS[number % 3], "reasoning": "Tel only in A, missing from record B."}
        return row(number, cluster_a=f"a{number}", cluster_b=f"b{number}", input=records, output=output)

    code, out = run(tmp_path, text(map(turned, range(60))))
    assert code == 0
    for one in read(out / "test.jsonl"):
        assert one == turned(int(one["id"].removeprefix("r")))
    for one in (one for name in TRAINED for one in read(out / f"{name}.jsonl")):
        number = one["id"].removeprefix("r")
        assert list(one) == ["id", "slice", "cluster_a", "input", "output", "cluster_b"]
        assert one["input"] == {"record_a": {"name": f"left {number}"}, "record_b": {"name": f"right {number}", "tel": "1"}}
        assert (one["cluster_a"], one["cluster_b"]) == (f"b{number}", f"a{number}")
        assert one["output"]["reasoning"] == "Tel only in B, missing from record A."


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_are_accepted(tmp_path):
    lines = [json.dumps(row(number)).encode() for number in range(60)]
    assert run(tmp_path, b"\xef\xbb\xbf" + b"\r\n\r\n".join(lines) + b"\r\n \r\n")[0] == 0
    windows = {name: (tmp_path / "out" / f"{name}.jsonl").read_bytes() for name in SPLITS}
    assert run(tmp_path, b"\n".join(lines))[0] == 0
    assert windows == {name: (tmp_path / "out" / f"{name}.jsonl").read_bytes() for name in SPLITS}


def test_long_texts_are_cut_with_a_warning(tmp_path, capsys):
    long = row(0, input={"record_a": {"note": "x" * 1000}, "record_b": {"name": "y"}}, output={"decision": "DUPLICATE", "reasoning": "r" * 999})
    _, out = run(tmp_path, text([long, *map(row, range(1, 60))]))
    (kept,) = [one for name in SPLITS for one in read(out / f"{name}.jsonl") if one["id"] == "r0"]
    assert {"note": "x" * MAX_FIELD_CHARS} in kept["input"].values()
    assert kept["output"]["reasoning"] == "r" * MAX_REASONING_CHARS
    assert json.loads((out / "summary.json").read_text())["cut_fields"] == {"note": 1, "output.reasoning": 1}
    warnings = capsys.readouterr().err
    assert f"warning: note was cut in 1 records, at {MAX_FIELD_CHARS} characters a field" in warnings
    assert f"warning: output.reasoning was cut in 1 records, at {MAX_REASONING_CHARS} characters\n" in warnings


ODD = "a\u2028b\u2029c\x85d\x0be\rf\ng\x1ch\ud800i"


def test_odd_line_breaks_and_half_characters_stay_inside_their_line(tmp_path):
    def odd(number: int) -> dict:
        records = {"record_a": {ODD: f"{ODD}{number}"}, "record_b": {"n": number}}
        output = {"decision": LABELS[number % 3], "reasoning": ODD}
        return row(number, id=f"{number}{ODD}", slice=ODD, cluster_a=f"{ODD}{number}", input=records, output=output)

    code, out = run(tmp_path, text(map(odd, range(60))))
    assert code == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    for name in SPLITS:
        with (out / f"{name}.jsonl").open(encoding="utf-8") as lines:
            kept = [json.loads(line) for line in lines]
        assert len(kept) == summary["splits"][name]["pairs"]
        assert all(one["output"]["reasoning"] == one["slice"] == ODD.replace("\ud800", "\ufffd") for one in kept)


def test_slices_may_be_numbers_and_texts(tmp_path):
    code, out = run(tmp_path, text(row(number, slice=number % 2 or "none") for number in range(60)))
    slices = [part["slices"] for part in json.loads((out / "summary.json").read_text())["splits"].values()]
    assert (code, sum(part["1"] + part["none"] for part in slices)) == (0, 60)


def test_the_seed_decides_the_bytes(tmp_path):
    written = []
    for name, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        (tmp_path / name).mkdir()
        code, out = run(tmp_path / name, text(map(row, range(120))), "--seed", seed)
        assert code == 0
        written.append({part: (out / f"{part}.jsonl").read_bytes() for part in SPLITS})
    assert written[0] == written[1]
    assert not set(written[0].values()) & set(written[2].values())


def test_options_decide_the_number_of_demo_pairs_and_their_shares(tmp_path):
    assert main(["prepare", "--demo", "90", "--fractions", "0.6", "0.2", "0.2", "--out", str(tmp_path)]) == 0
    assert [len(read(tmp_path / f"{name}.jsonl")) for name in SPLITS] == [54, 18, 18]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["fractions"], summary["seed"], summary["source"]) == ([0.6, 0.2, 0.2], 7, "generated: 90 compact pairs, seed 7")


def test_demo_pairs_leave_the_own_data_alone(tmp_path):
    code, out = run(tmp_path, b"not even JSON", "--demo", "60")
    assert (code, len(read(out / "train.jsonl"))) == (0, 48)
    assert (tmp_path / "all.jsonl").read_bytes() == b"not even JSON"


def test_a_second_run_leaves_the_files_untouched(tmp_path):
    def stamps():
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (tmp_path / "out").iterdir()}

    run(tmp_path, text(map(row, range(60))))
    before = stamps()
    assert run(tmp_path, text(map(row, range(60))))[0] == 0
    assert stamps() == before


texts = st.text(st.characters() | st.sampled_from('\r\n\x85\u2028\ud800\udfff"\\'), max_size=20)
records = st.dictionaries(texts, texts, min_size=1, max_size=4)
labels = texts | st.integers() | st.none()
rows = st.tuples(records, records, texts, st.dictionaries(st.sampled_from(("id", "slice", "cluster_a", "cluster_b")), labels))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rows, min_size=9, max_size=20), st.booleans(), st.booleans())
def test_any_flat_records_are_prepared_or_refused(drawn, escape, usable):
    lines = []
    for number, (left, right, reason, rest) in enumerate(drawn):
        if usable:
            left, right, reason = {"n": f"{number}"} | left, {"m": f"{number}"} | right, f"x{reason}"
            rest = {"slice": rest.get("slice"), "id": f"{number}{rest.get('id')}"}
        output = {"decision": LABELS[number % 3], "reasoning": reason}
        lines.append(json.dumps({**rest, "input": {"record_a": left, "record_b": right}, "output": output}, ensure_ascii=escape))
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "all.jsonl", Path(folder) / "out"
        source.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        try:
            with redirect_stderr(io.StringIO()):
                prepare(source, out)
        except (DataError, SplitError):
            assert not out.exists()
            return
        for name in SPLITS:
            for one in read(out / f"{name}.jsonl"):
                assert all(normalise(part) == (part, []) for part in one["input"].values())
                assert name not in TRAINED or in_prompt_order(one) is one


@settings()
@given(records, records, st.lists(st.sampled_from(("only in A", "missing from B", "in", " ", "A", "record B,", "plan B")) | texts).map(" ".join))
def test_either_order_of_a_pair_becomes_the_same_row(left, right, reasoning):
    def made(a: dict, b: dict, clusters: tuple[str, str], reasoning: str) -> dict:
        named = dict(zip(("cluster_a", "cluster_b"), clusters, strict=True))
        return {**named, "input": {"record_a": a, "record_b": b}, "output": {"decision": "POSSIBLE", "reasoning": reasoning}}

    assert exchange_sides(exchange_sides(reasoning)) == reasoning
    one, other = made(left, right, ("l", "r"), reasoning), made(right, left, ("r", "l"), exchange_sides(reasoning))
    for row in map(in_prompt_order, (one, other)):
        assert ask(**row["input"])[1:] == (row["input"]["record_a"], row["input"]["record_b"])
        assert row in (one, other)
    if to_json(left) != to_json(right):
        assert in_prompt_order(one) == in_prompt_order(other)
