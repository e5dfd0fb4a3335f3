"""`crm-dedup match` from a file to a plan: with the embedded model, killed at any stage, on what people really give it."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest
from match_by_rules import match

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.cli.match import place
from crm_dedup_plugin.dataset.synth import export
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.deciding import candidates, decisions
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.reporting import match_report

ROOT = Path(__file__).resolve().parents[1]
HEADER = ["Record ID", "First Name", "Last Name", "Email", "Phone Number", "Company name", "Create Date", "Contact owner"]
PEOPLE = [
    ["11", "Ann", "Lee", "ann.lee@lee.example", "+1 555 010 2030", "Lee & Co", "2021-03-01 10:00", "Sam"],
    ["12", "Anne", "Lee", "ann.lee@lee.example", "(555) 010-2030", "Lee & Co Inc.", "2022-03-01 10:00", "Dana"],
    ["13", "Boris", "Kane", "boris@kane.example", "+49 30 1234567", "Kane GmbH", "2020-03-01 10:00", "Sam"],
    ["14", "Zoe", "Kane", "zoe@kane.example", "+49 30 1234567", "Kane GmbH", "2020-05-01 10:00", "Sam"],
]


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


@pytest.fixture(scope="module")
def contacts(tmp_path_factory) -> Path:
    """An export of 400 rows."""
    path = tmp_path_factory.mktemp("export") / "contacts.csv"
    export.write(400, 7, path)
    return path


@pytest.fixture(scope="module")
def undisturbed(contacts, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    match(run, contacts)
    return run


def results(run: Path) -> dict[str, bytes]:
    """Return what a user gets of a run."""
    names = ("5-plan/merge_plan.jsonl", "5-plan/merge_plan.csv", "5-plan/cleaned.csv", "5-plan/before.jsonl", "3-decide/reasons.jsonl")
    return {name: (run / name).read_bytes() for name in names} | {"decisions": str(decisions(run).to_pylist()).encode()}


def report(run: Path) -> dict[str, str]:
    """Return the report of a run, written if it is not there, without its own path and what took how long."""
    folder = match_report.write(run).parent
    texts = {path.name: path.read_text(encoding="utf-8").replace(str(run), "RUN") for path in folder.glob("report.[hm]*")}
    return {name: re.sub(r"\d+ pairs a second", "", text) for name, text in texts.items()}


def test_the_embedded_model_makes_a_plan_and_a_report(embedded_model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / "people.csv", PEOPLE)
    assert main(["match", str(file), "--backend", "transformers", "--explain", "2", "--price-per-hour", "3600"]) == 0
    run = tmp_path / "runs" / "people"
    out, err = capsys.readouterr()
    cost = float(re.search(r"^decide: (\d+) of \1 pairs, .* left, ([\d.]+) in all$", err, re.MULTILINE)[2])
    assert "records: 4;" in out and str(Path("runs/people/6-report/report.html")) in out
    assert "ann.lee" not in out + err and "Kane" not in out + err
    told = run_folder.report(run, "decide")
    assert cost == pytest.approx(told["seconds"], rel=0.1, abs=0.5), "at 3,600 an hour, each second costs 1"
    assert told["calibrated"] and told["pairs"] >= 2 and told["threshold"] == 0.98, "contacts of a CRM"
    (merge,) = [json.loads(line) for line in (run / "5-plan" / "merge_plan.jsonl").read_text().splitlines()]
    assert {"11", "12"} <= set(json.dumps(merge).replace('"', " ").split()) and "Boris" not in json.dumps(merge)
    assert (run / "6-report" / "report.html").is_file()

    began = time.monotonic()
    assert main(["match", str(file), "--backend", "transformers", "--explain", "2"]) == 0, "nothing is done twice"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("stage", run_folder.STAGES)
def test_a_killed_run_goes_on(stage, contacts, undisturbed, tmp_path):
    run = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    child = subprocess.Popen([sys.executable, str(ROOT / "tests" / "match_by_rules.py"), str(run), str(contacts)], env=environment)
    until = time.monotonic() + 120
    while not (run_folder.folder(run, stage) / run_folder.KEY).is_file() and child.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (run_folder.folder(run, stage) / run_folder.REPORT).is_file() or child.returncode == 0
    match(run, contacts)
    assert results(run) == results(undisturbed)
    assert report(run) == report(undisturbed)


def test_only_what_has_changed_is_done_again(contacts, undisturbed, tmp_path, capsys):
    run = tmp_path / "run"
    _, asked = match(run, contacts)
    assert asked > 100 and match(run, contacts)[1] == 0
    before = {stage: (run_folder.folder(run, stage) / run_folder.REPORT).stat().st_mtime_ns for stage in run_folder.STAGES[:5]}
    match(run, contacts, primary="oldest")
    after = {stage: (run_folder.folder(run, stage) / run_folder.REPORT).stat().st_mtime_ns for stage in run_folder.STAGES[:5]}
    assert [stage for stage in before if before[stage] != after[stage]] == ["plan"]
    shards = [path.stat().st_mtime_ns for path in sorted((run / "3-decide" / "shards").iterdir())]
    reports, reasons = match(run, contacts, primary="oldest", threshold=0.999)
    assert reports["plan"]["merges"] == 0 and reports["decide"]["threshold"] == 0.999
    assert shards == [path.stat().st_mtime_ns for path in sorted((run / "3-decide" / "shards").iterdir())], "no decision is asked again"
    told = len((run / "3-decide" / "reasons.jsonl").read_text(encoding="utf-8").splitlines())
    assert reasons <= told and match(run, contacts, primary="oldest", threshold=0.999, explain=5)[1] == 0, "nor a reasoning"
    rate = run_folder.report(run, "decide")["pairs_per_second"]
    write(tmp_path / "other.csv", PEOPLE)
    capsys.readouterr()
    assert match(run, tmp_path / "other.csv")[0]["read"]["records"] == 4
    told = f"about 0:00:00 to decide about them, at {rate:,.1f} a second as the last time"
    assert told in capsys.readouterr().err and told in (run / "2-candidates" / "candidates.md").read_text(encoding="utf-8")


def test_a_shard_that_is_there_is_not_asked_again(contacts, undisturbed, tmp_path):
    run = tmp_path / "run"
    match(run, contacts)
    decided = run_folder.folder(run, "decide")
    shards = sorted((decided / "shards").glob("*.parquet"))
    lost = pyarrow.parquet.read_metadata(shards[-1]).num_rows
    shards[-1].unlink()
    (decided / run_folder.REPORT).unlink()
    reports, _ = match(run, contacts)
    assert reports["decide"]["asked"] == lost < reports["decide"]["pairs"]
    assert results(run) == results(undisturbed)


def test_an_untidy_list_is_read_and_the_two_rows_of_one_person_are_joined(tmp_path):
    """A list that people keep: cp1252, a title, the header twice, blank lines, a footer, placeholders, and a row in capitals."""
    run = tmp_path / "run"
    reports, _ = match(run, ROOT / "tests" / "untidy.csv")
    (file,), records = reports["read"]["files"], Records(run)
    assert (file["records"], file["encoding"], file["delimiter"], file["header_line"]) == (6, "cp1252", ";", 3)
    skipped = {"it stands before the header": 1, "it is blank": 3, "it repeats the header": 1, "it is a footer or a caption": 2}
    assert {one["reason"]: one["count"] for one in file["skipped"]} == skipped
    assert records.ids == [f"0100{at}" for at in range(1, 7)] and records.values(2)["Nachname"] == "Größe"
    assert records.values(0)["Bemerkung"] == 'Ruft gern an; "bitte nie vor 9"'
    assert candidates(run) == [(0, 4)], "placeholders join nobody"
    (merge,) = [json.loads(line) for line in (run / "5-plan" / "merge_plan.jsonl").read_text(encoding="utf-8").splitlines()]
    assert merge["primary"]["id"] == "01001" and merge["fields"]["E-Mail"]["value"] == "joerg.weber@weber-technik.example"


def test_two_files_are_linked(tmp_path):
    reports, _ = match(tmp_path / "run", write(tmp_path / "a.csv", PEOPLE[::2]), write(tmp_path / "b.csv", PEOPLE[1::2]))
    assert reports["read"]["link"] and reports["group"]["groups"] == 1 and reports["group"]["grouped_records"] == 2


def test_one_run_is_for_one_process(contacts, tmp_path):
    with run_folder.alone(tmp_path / "run"), pytest.raises(UserError, match="another process is at work"):
        match(tmp_path / "run", contacts)


def test_a_file_without_pairs_ends_well(tmp_path):
    reports, asked = match(tmp_path / "run", write(tmp_path / "one.csv", [PEOPLE[0], PEOPLE[2]]))
    assert (reports["candidates"]["pairs"], reports["group"]["groups"], asked) == (0, 0, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such.csv"], "no-such.csv"),
        (["people.csv", "--threshold", "2"], "2 is no probability"),
        (["people.csv", "--until", "merge"], "merge is unknown"),
        (["people.csv", "--profile", "no-such.yml"], "no-such.yml"),
        (["people.csv", "--model", "no-such-model"], "no-such-model"),
        (["people.csv", "--primary", "best"], "best"),
    ],
)
def test_errors_come_before_work_and_name_the_cure(words, message, tmp_path, monkeypatch, capsys, embedded_model):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "people.csv", PEOPLE)
    try:
        code = main(["match", *words])
    except SystemExit as end:
        code = end.code
    err = capsys.readouterr().err
    assert code and message in err and "Traceback" not in err
    assert "decide:" not in err


@pytest.mark.parametrize("words", [["no-such.csv"], ["people.csv", "no-such.csv"], ["people.csv", "--profile", "no-such.yml"]])
def test_no_run_is_begun_where_a_file_is_missing(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "people.csv", PEOPLE)
    assert main(["match", *words]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["people.csv"]


def test_a_run_has_a_name_or_a_path(tmp_path):
    assert place(None, [Path("x/contacts.csv")]) == Path("runs/contacts")
    assert place("march", [Path("x/contacts.csv")]) == Path("runs/march")
    assert place(f"{tmp_path}/march", [Path("x/contacts.csv")]) == tmp_path / "march"
