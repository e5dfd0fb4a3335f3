"""Data preparation that is cut off: each file stays whole, old or new, and the next run completes the set."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.storage import write_atomically

NAMES = ("train.jsonl", "val.jsonl", "test.jsonl", "summary.json")
PAIRS = "200"  # enough for a train split that does not fit into 50,000 bytes
# Runs the command, and dies without a word where `os.NAME` is called for the COUNT-th time.
DYING = """
import os, signal, sys
from crm_dedup_plugin.cli import main
name, count = sys.argv[1], int(sys.argv[2])
real, calls = getattr(os, name), []
def dying(*args):
    calls.append(args)
    if len(calls) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
setattr(os, name, dying)
main(sys.argv[3:])
"""
# Runs the command where no file may grow beyond BYTES: a full disk, or with "die" a kill in the middle of a write.
FULL = """
import resource, signal, sys
from crm_dedup_plugin.cli import main
if sys.argv[1] == "die":
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
sys.exit(main(sys.argv[3:]))
"""


def command(out: Path, seed: int = 1) -> list[str]:
    return ["prepare", "--demo", PAIRS, "--seed", str(seed), "--out", str(out)]


def child(code: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in NAMES if (out / name).exists()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[int, dict[str, bytes]]:
    """What uninterrupted runs write, by seed."""
    folder = tmp_path_factory.mktemp("whole")
    for seed in (1, 2):
        main(command(folder / str(seed), seed))
    return {seed: contents(folder / str(seed)) for seed in (1, 2)}


def assert_whole_then_finish(out: Path, whole: dict[int, dict[str, bytes]]) -> None:
    for name, data in contents(out).items():
        assert data in (whole[1][name], whole[2][name])
    assert main(command(out)) == 0
    assert contents(out) == whole[1]
    assert sorted(os.listdir(out)) == sorted(NAMES)


@pytest.mark.parametrize("again", [False, True], ids=["first run", "over another set"])
@pytest.mark.parametrize(("name", "count"), [("fsync", 1), ("replace", 1), ("fsync", 2), ("replace", 3), ("fsync", 4)])
def test_a_run_killed_between_two_steps_leaves_whole_files(tmp_path, whole, name, count, again):
    out = tmp_path / "out"
    if again:
        main(command(out, seed=2))
    assert child(DYING, name, str(count), *command(out)).returncode == -signal.SIGKILL
    written = count - 1
    assert [name for name, data in contents(out).items() if data == whole[1][name]] == list(NAMES[:written])
    assert list(out.glob(".*.part"))
    assert_whole_then_finish(out, whole)


@pytest.mark.parametrize("again", [False, True], ids=["first run", "over another set"])
def test_a_run_killed_in_the_middle_of_a_write_leaves_whole_files(tmp_path, whole, again):
    out = tmp_path / "out"
    if again:
        main(command(out, seed=2))
    assert child(FULL, "die", "50000", *command(out)).returncode == -signal.SIGXFSZ
    (partial,) = out.glob(".train.jsonl.*.part")
    assert 0 < partial.stat().st_size <= 50_000 < len(whole[1]["train.jsonl"])
    assert_whole_then_finish(out, whole)


def test_a_run_killed_at_any_moment_leaves_whole_files(tmp_path, whole):
    for moment in range(1, 6):
        out = tmp_path / str(moment)
        process = subprocess.Popen([sys.executable, "-m", "crm_dedup_plugin", *command(out)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline and not (out.is_dir() and len(os.listdir(out)) >= moment):
            time.sleep(0.001)
        process.kill()
        process.wait()
        assert_whole_then_finish(out, whole)


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY, reason="file size is limited here")
def test_a_full_disk_gives_a_message_and_no_half_file(tmp_path, whole):
    out = tmp_path / "out"
    main(command(out, seed=2))
    done = child(FULL, "live", "50000", *command(out))
    assert done.returncode == 1
    assert done.stderr == f"error: {out}/train.jsonl could not be written (File too large): make room, or choose a folder that you may write to\n"
    assert contents(out) == whole[2]
    assert sorted(os.listdir(out)) == sorted(NAMES)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_folder_that_cannot_be_written_gives_a_message_and_no_half_file(tmp_path, monkeypatch, capsys, step, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, step, refuse)
    assert main(command(tmp_path / "out")) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"error: {tmp_path}/out/train.jsonl could not be written ({os.strerror(code)}): make room, or choose")
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_gives_a_message(tmp_path, capsys):
    tmp_path.chmod(0o555)
    assert main(command(tmp_path / "out")) == 1
    assert "Permission denied" in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_gives_a_message(tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert main(command(tmp_path / "out")) == 1
    assert str(tmp_path / "out") in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def left_behind() -> int:
    """Return the number of a process that is gone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def test_only_stale_parts_of_the_same_file_are_removed(tmp_path):
    names = ".a[1].txt.{}.part", ".ab.txt.{}.part", "a[1].txt.{}.part", ".a1.txt.{}.part"
    stale, *others = (tmp_path / name.format(left_behind()) for name in names)
    for path in (stale, *others):
        path.write_text("half")
    write_atomically(tmp_path / "a[1].txt", "new")
    assert (tmp_path / "a[1].txt").read_text() == "new"
    assert not stale.exists()
    assert all(path.exists() for path in others)


def test_what_another_process_is_writing_stays(tmp_path):
    beside = tmp_path / f".set.jsonl.{os.getppid()}.part"
    beside.write_text("half of it")
    for number in ("1x", "9" * 30):
        (tmp_path / f".set.jsonl.{number}.part").write_text("no number of a process")
    write_atomically(tmp_path / "set.jsonl", "all of it")
    assert beside.exists() and (tmp_path / "set.jsonl").read_text() == "all of it"
