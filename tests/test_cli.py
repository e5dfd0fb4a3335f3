"""The command line: it starts on bare Python, and what goes wrong is one message, never a traceback."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from compact_pairs import generate

from crm_dedup_plugin import __version__
from crm_dedup_plugin.cli import main
from crm_dedup_plugin.pair.answer import SCHEMA
from crm_dedup_plugin.pair.prompt import in_order

ROOT = Path(__file__).resolve().parents[1]
MODULE = [sys.executable, "-m", "crm_dedup_plugin"]
COMMANDS = ("prepare", "fetch", "train", "kpi", "table", "prompt", "schema")
BARE = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import crm_dedup_plugin
from crm_dedup_plugin import cli
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.dataset import prepare, splits
from crm_dedup_plugin.pair import prompt, record
code = cli.main(sys.argv[1:])
files = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
assert not [file for file in files if "site-packages" in file or "dist-packages" in file]
sys.exit(code)
"""


def run(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([*MODULE, *arguments], capture_output=True, text=True, **{"cwd": ROOT, **options})


def assert_one_message(done: subprocess.CompletedProcess, *parts: str) -> None:
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    assert all(part in done.stderr for part in parts)


@pytest.mark.parametrize("arguments", [["schema"], ["prompt", "FILE"]], ids=lambda words: words[0])
def test_the_core_runs_without_any_package(tmp_path, arguments):
    (tmp_path / "FILE").write_text("\n".join(map(json.dumps, generate(3))))
    command = [sys.executable, "-I", "-S", "-c", BARE, str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["schema"], ["--version"], ["--help"], ["prompt", "none.jsonl"]], ids=lambda words: words[0])
def test_the_module_and_the_script_are_the_same(arguments):
    script = Path(sys.executable).with_name("crm-dedup")
    if not script.is_file():
        pytest.skip("the package is not installed beside this interpreter")
    installed = subprocess.run([script, *arguments], capture_output=True, text=True, cwd=ROOT)
    module = run(*arguments)
    assert (module.returncode, module.stdout, module.stderr) == (installed.returncode, installed.stdout, installed.stderr)


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_is_printed(capsys, words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: crm-dedup")
    assert len(words) == 2 or all(command in printed for command in COMMANDS)


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("words", [["prepare", "--frobnicate", "1"], ["prepare", "extra"], ["schema", "x"], ["fetch", "--force"]], ids=" ".join)
def test_unknown_arguments_are_refused(capsys, words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert f"unknown arguments: {' '.join(words[1:])}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["nonesuch"], ["train"], ["prepare", "--fractions", "0.8", "0.2"], ["prepare", "--seed", "x"]], ids=" ".join)
def test_a_wrong_usage_is_explained(capsys, words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "crm-dedup" in capsys.readouterr().err


def test_the_schema_is_printed_as_json(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def test_the_prompt_of_the_first_pair_is_printed(tmp_path, capsys):
    pairs = list(generate(2))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    assert main(["prompt", str(tmp_path / "a.jsonl")]) == 0
    first, last = capsys.readouterr().out.splitlines()[-2:]
    assert [json.loads(line.partition(": ")[2]) for line in (first, last)] == list(in_order(**pairs[0]["input"]))


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b"{}\n", b"x\n", b"\xff\n", b'{"input": {"record_a": 1, "record_b": 2}, "output": {}}'])
def test_a_file_without_a_first_pair_has_no_prompt(tmp_path, capsys, content):
    (tmp_path / "a.jsonl").write_bytes(content)
    assert main(["prompt", str(tmp_path / "a.jsonl")]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'a.jsonl'}")


def test_an_unknown_model_lists_the_known_ones(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["train", "nonesuch", "--micro_batch_size=2"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: no configuration axolotl_configs/nonesuch.yml: use one of ")
    assert all(path.stem in message for path in Path("axolotl_configs").glob("*.yml"))


def test_measuring_too_early_says_what_to_run_first(tmp_path, monkeypatch, capsys):
    from crm_dedup_plugin.evaluation.run import evaluate

    monkeypatch.chdir(tmp_path)
    data = tmp_path / "test.jsonl"
    monkeypatch.setattr(evaluate, "__defaults__", (*evaluate.__defaults__[:-1], data))
    assert main(["kpi", "mine", "--limit", "3"]) == 1
    assert capsys.readouterr().err == f"error: {data} does not exist: run `make prep` first\n"
    data.touch()
    assert main(["kpi", "mine"]) == 1
    assert capsys.readouterr().err == "error: outputs/mine-merged does not exist: run `make train-mine` first\n"
    assert main(["table", "mine"]) == 1
    assert capsys.readouterr().err == "error: outputs/results/mine/metrics.json does not exist: run `make kpi-mine` first\n"
    assert os.listdir(tmp_path) == ["test.jsonl"]


def test_errors_are_one_message_without_a_traceback(tmp_path):
    assert_one_message(run("prepare", "--data", str(tmp_path), "--out", str(tmp_path / "out")), str(tmp_path), "is a folder")
    assert_one_message(run("prompt", "none.jsonl"), "none.jsonl")
    assert_one_message(run("train", "nonesuch"), "nonesuch", "smollm2-135m")
    assert_one_message(run("train", "smollm2-135m", cwd=tmp_path), "axolotl_configs/smollm2-135m.yml")


def test_ctrl_c_leaves_without_a_traceback(tmp_path):
    fifo, out = tmp_path / "all.jsonl", tmp_path / "out"
    os.mkfifo(fifo)
    command = [*MODULE, "prepare", "--data", str(fifo), "--out", str(out)]
    # A shell that runs the tests in the background hands an ignored SIGINT on.
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    )
    writer = None
    while writer is None and process.poll() is None:
        with contextlib.suppress(OSError):  # there is no reader yet; once there is, the command is in the middle of its work
            writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 130
    assert message == "interrupted: run the same command to go on\n"
    assert not out.exists()
