"""The command line: it starts on bare Python, and what goes wrong is one message, never a traceback."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from compact_pairs import generate

from crm_dedup_plugin import __version__
from crm_dedup_plugin.cli import main, program
from crm_dedup_plugin.errors import advise
from crm_dedup_plugin.pair.answer import SCHEMA
from crm_dedup_plugin.pair.prompt import ask

ROOT = Path(__file__).resolve().parents[1]
MODULE = [sys.executable, "-m", "crm_dedup_plugin"]
COMMANDS = tuple(program().commands.choices)
STAGES = ["data:", "train:", "measure:", "use:", "publish:"]
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
    assert script.is_file(), f"{script} is missing: run `make setup`"
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


def parse(*words: str):
    return parser().parse_known_args(words)


def parser():
    return program().parser


def subcommands() -> dict:
    return program().commands.choices


def example(name: str) -> list[str]:
    """Return the words of the example in the help of a command, from its name on."""
    shown = shlex.split(subcommands()[name].epilog.removeprefix("example:\n  "))
    assert shown[:2] == ["crm-dedup", name]
    return shown[1:]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_parses_and_explains_every_option(name):
    command = subcommands()[name]
    options, rest = parse(*example(name))
    assert options.command == name and all(word.startswith("--") for word in rest if options.passes) and (options.passes or not rest)
    assert re.fullmatch(r"[A-Z].*\.", command.description)
    for line in re.split(r"\n  (?=-)", command.format_help().partition("options:")[2].partition("\nexample:")[0])[1:]:
        text = " ".join(line.split())
        assert text.startswith("-h") or re.search(r"[ \]][A-Z][^.]*\. .*Default: .+\.$", text), text


def test_the_commands_are_listed_by_stage():
    listed = parser().format_help()
    places = [listed.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert [line for line in listed.splitlines() if line in STAGES] == STAGES


@pytest.mark.parametrize("option", ["--data", "--lim", "--no-prob"])
def test_options_are_never_abbreviated(option):
    options, rest = parse("kpi", "x", f"{option}=foo")
    assert rest == [f"{option}=foo"] and options.data_parallel_size is None and options.limit is None


@pytest.mark.parametrize(
    ("line", "name", "key", "values"),
    [
        ("bench --parts offline NAME", "NAME", "parts", ["offline"]),
        ("bench --parts offline online NAME --quick", "NAME", "parts", ["offline", "online"]),
        ("bench NAME --parts offline online", "NAME", "parts", ["offline", "online"]),
        ("bench --parts offline,online NAME", "NAME", "parts", ["offline", "online"]),
        ("bench --parts=offline NAME --parts online", "NAME", "parts", ["offline", "online"]),
        ("bench --arms decision full_without_schema NAME", "NAME", "arms", ["decision", "full_without_schema"]),
        ("bench --concurrency 1 4 NAME", "NAME", "concurrency", [1, 4]),
        ("bench --engine a=1 b=[1,2] NAME", "NAME", "engine", ["a=1", "b=[1,2]"]),
        ("kpi --tasks crm_dedup_swapped NAME", "NAME", "tasks", ["crm_dedup_swapped"]),
        ("kpi --tasks crm_dedup_swapped crm_dedup_injected --limit 3 NAME", "NAME", "tasks", ["crm_dedup_swapped", "crm_dedup_injected"]),
        ("average --verbose NAME a b", "NAME", "models", ["a", "b"]),
        ("average NAME a --verbose b", "NAME", "models", ["a", "b"]),
        ("compare --verbose a b", None, "names", ["a", "b"]),
        ("prepare --also x y --augment shuffled,brief --seed 3", None, "also", [Path("x"), Path("y")]),
    ],
    ids=lambda one: one if isinstance(one, str) and " " in one else "",
)
def test_a_name_is_found_wherever_it_stands(monkeypatch, line, name, key, values):
    monkeypatch.chdir(ROOT)
    options, rest = parse(*line.split())
    assert (getattr(options, "name", None), getattr(options, key), rest) == (name, values, [])


def test_options_for_another_program_are_passed_on_with_their_values():
    assert parse("kpi", "x", "--num_fewshot", "2", "--log_it", "--limit", "3")[1] == ["--num_fewshot=2", "--log_it"]
    assert parse("train", "x", "--max_steps", "5", "--seed=1")[1] == ["--max_steps=5", "--seed=1"]
    options, rest = parse("kpi", "--log_it", "x")
    assert (options.name, rest) == ("x", ["--log_it"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("kpi x --limit 0", "argument --limit: 0 is not a whole number above 0"),
        ("kpi x --limit -3", "argument --limit: -3 is not a whole number above 0"),
        ("kpi x --data-parallel-size 0", "argument --data-parallel-size: 0 is not a whole number above 0"),
        ("kpi x --per-file 0", "argument --per-file: 0 is not a whole number above 0"),
        ("bench x --repeats 1.5", "argument --repeats: 1.5 is not a whole number above 0"),
        ("bench x --timeout 0", "argument --timeout: 0 is not a number above 0"),
        ("bench x --concurrency 4 0", "argument --concurrency ...: 0 is not a whole number above 0"),
        ("bench --batches 0 x", "argument --batches ...: 0 is not a whole number above 0"),
        ("bench x --arms full fast", "fast is unknown: choose among full, full_cold, full_uncached, full_without_schema, decision,"),
        ("bench x --engine oops", "oops is not understood: write KEY=VALUE"),
        ("synth --n 0", "argument --n: 0 is not a whole number above 0"),
        ("prepare --demo 0", "argument --demo: 0 is not a whole number above 0"),
        ("bench x --port -3", "argument --port: -3 is no port: give a whole number from 0 to 65535"),
        ("serve --port 99999999", "argument --port: 99999999 is no port: give a whole number from 0 to 65535"),
        ("match x.csv --explain -1", "argument --explain: -1 is not a whole number from 0 on"),
    ],
)
def test_values_that_make_no_sense_are_refused(capsys, line, message):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == 2
    assert message.replace(" ...", "") in capsys.readouterr().err


def test_a_reader_that_has_read_enough_is_no_error():
    child = subprocess.Popen([*MODULE, "schema"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.close()
    assert (child.stderr.read(), child.wait()) == ("", 141)


def test_verbose_shows_the_traceback(tmp_path, monkeypatch):
    assert "Traceback" not in run("prompt", "none.jsonl").stderr
    assert "Traceback" in run("prompt", "none.jsonl", "--verbose").stderr
    assert "Traceback" in run("prompt", "none.jsonl", env={**os.environ, "CRM_DEDUP_VERBOSE": "1"}).stderr


def test_an_unexpected_error_says_how_to_see_more(tmp_path, monkeypatch, capsys):
    from crm_dedup_plugin.pair import prompt

    def fail(*_):
        raise ValueError("seven is no name")

    monkeypatch.setattr(prompt, "build", fail)
    (tmp_path / "a.jsonl").write_text(json.dumps(next(iter(generate(1)))))
    assert main(["prompt", str(tmp_path / "a.jsonl")]) == 1
    assert capsys.readouterr().err == "error: seven is no name (--verbose shows where)\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("prompt", "schema")])
def test_without_the_packages_a_command_says_what_to_run(tmp_path, name):
    for model in ("smollm2-135m", "smollm2-135m-seed-1"):
        (tmp_path / f"outputs/{model}-merged").mkdir(parents=True)
    command = [sys.executable, "-I", "-S", "-c", BARE, str(ROOT), *example(name)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: the package \w+ is not installed: run `make setup` in the repository, then use its .venv/bin/crm-dedup", done.stderr.splitlines()[-1]
    )
    assert "Traceback" not in done.stderr


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    "words",
    [["prepare", "--frobnicate", "1"], ["prepare", "extra"], ["schema", "x"], ["fetch", "--force"], ["train", "x", "y"], ["compare", "--for"]],
    ids=" ".join,
)
def test_unknown_arguments_are_refused(capsys, words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith(f"usage: crm-dedup {words[0]} [-h]"), "the usage of the command, not of the program"
    assert re.search(f"unknown arguments: .*{words[-1]}", message)


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
    assert [json.loads(line.partition(": ")[2]) for line in (first, last)] == list(ask(**pairs[0]["input"])[1:])


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b"{}\n", b"x\n", b"\xff\n", b'{"input": {"record_a": 1, "record_b": 2}, "output": {}}'])
def test_a_file_without_a_first_pair_has_no_prompt(tmp_path, capsys, content):
    (tmp_path / "a.jsonl").write_bytes(content)
    assert main(["prompt", str(tmp_path / "a.jsonl")]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'a.jsonl'}")


def test_an_unknown_model_lists_the_known_ones(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["train", "nonesuch", "--micro_batch_size=2"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: there is no configuration axolotl_configs/nonesuch.yml: use one of ")
    assert all(path.stem in message for path in Path("axolotl_configs").glob("*.yml"))


def test_measuring_too_early_says_what_to_run_first(tmp_path, monkeypatch, capsys):
    from crm_dedup_plugin.evaluation import documents

    monkeypatch.chdir(tmp_path)
    data = tmp_path / "test.jsonl"
    monkeypatch.setattr(documents, "TEST_SPLIT", data)
    assert main(["kpi", "mine", "--limit", "3"]) == 1
    assert capsys.readouterr().err == f"error: {data} does not exist: run `crm-dedup prepare` first\n"
    data.touch()
    assert main(["kpi", "mine"]) == 1
    assert capsys.readouterr().err == "error: outputs/mine-merged does not exist: run `crm-dedup train MODEL --name mine` first\n"
    assert main(["table", "mine"]) == 1
    assert capsys.readouterr().err == "error: outputs/results/mine/metrics.json does not exist: run `crm-dedup kpi mine` first\n"
    assert os.listdir(tmp_path) == ["test.jsonl"]


def test_errors_are_one_message_without_a_traceback(tmp_path):
    assert_one_message(run("prepare", "--data", str(tmp_path), "--out", str(tmp_path / "out")), str(tmp_path), "is a folder")
    assert_one_message(run("prompt", "none.jsonl"), "none.jsonl")
    assert_one_message(run("train", "nonesuch"), "nonesuch", "smollm2-135m")
    assert_one_message(run("train", "smollm2-135m", cwd=tmp_path), "axolotl_configs/smollm2-135m.yml", "run this in the repository")


def test_errors_advise_commands_that_exist(monkeypatch):
    monkeypatch.chdir(ROOT)
    for stage in ("train", "kpi", "bench", "push"):
        assert advise(stage, "qwen3-4b") == f"`make {stage}-qwen3-4b`"
        assert subprocess.run(["make", "-n", f"{stage}-qwen3-4b"], capture_output=True).returncode == 0
        words = shlex.split(advise(stage, "demo/my model").strip("`"))
        options, rest = parse(*words[1:])
        assert options.command == stage and options.name == "demo/my model" and not rest


def test_ctrl_c_leaves_without_a_traceback(tmp_path):
    fifo, out = tmp_path / "all.jsonl", tmp_path / "out"
    os.mkfifo(fifo)
    command = [*MODULE, "prepare", "--data", str(fifo), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    writer = None
    while writer is None and process.poll() is None:
        with contextlib.suppress(OSError):  # there is no reader yet; once there is, the command is in the middle of its work
            writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 130
    assert message == "interrupted: run the same command again to start over; nothing was written\n"
    assert not out.exists()


SHOW_POLICY = """
import os, sys
import crm_dedup_plugin.cli as cli
cli.main = lambda **_: print("torch" in sys.modules, os.environ["OMP_WAIT_POLICY"]) or 0
cli.run()
"""


@pytest.mark.parametrize(("told", "used"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_the_program_waits_for_its_threads_passively_unless_told_otherwise(told, used):
    """Nobody reads the variable once PyTorch is imported."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | told
    done = subprocess.run([sys.executable, "-c", SHOW_POLICY], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["False", used], done.stderr
