"""A run of `crm-dedup match`: a folder of plain files, one folder a stage, that resumes where it stopped.

    runs/NAME/1-read/  2-candidates/  3-decide/  4-group/  5-plan/  6-report/

A stage's ``key.json`` says what it was made from and is written first; its ``report.json`` says what it found and is written last.
So a stage whose report is there is done, and one whose key has changed starts anew.
"""

import contextlib
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.storage import lock, write_atomically

STAGES = ("read", "candidates", "decide", "group", "plan", "report")
KEY, REPORT = "key.json", "report.json"


def folder(run: Path, stage: str) -> Path:
    """Return the folder of a stage."""
    return run / f"{STAGES.index(stage) + 1}-{stage}"


def report(run: Path, stage: str) -> dict:
    """Return what a finished stage reported; raises UserError where it is not finished."""
    path = folder(run, stage) / REPORT
    if not path.is_file():
        raise UserError(f"{run} has no finished stage {stage!r}: run `crm-dedup match` to its end first")
    return json.loads(path.read_text(encoding="utf-8"))


def stage(run: Path, name: str, made_from: dict, work: Callable[[Path], dict]) -> dict:
    """Return the report of a stage, the one it wrote before if it was made from the same, else what ``work(folder)`` returns now.

    `made_from` (plain JSON) is all that the result depends on, but what the stages before it found: their keys are added here.
    `work` may find files of an interrupted run with the same key in its folder, each of them whole, and go on after them.
    """
    target = folder(run, name)
    before = STAGES[: STAGES.index(name)]
    keys = [json.loads((folder(run, one) / KEY).read_text(encoding="utf-8")) for one in before[-1:]]
    key = json.dumps({"stage": made_from, "before": keys}, sort_keys=True)
    known = target / KEY
    if not known.is_file() or known.read_text(encoding="utf-8") != key:
        shutil.rmtree(target, ignore_errors=True)
        make(target)
        write_atomically(known, key)
    if not (target / REPORT).is_file():
        write_report(run, name, work(target))
    return report(run, name)


def write_report(run: Path, name: str, found: dict) -> None:
    """Write what a stage found, or more about a stage that is finished: `report` returns it from now on."""
    write_atomically(folder(run, name) / REPORT, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def word(run: Path) -> str:
    """Return how a command line names a run, or what stands for it where its name would not survive being copied."""
    return copyable(shlex.quote(run.name if run.parent.name == "runs" else str(run)), "RUN")


def command(run: Path, files: list[str]) -> str:
    """Return the command that goes on with a run, or what stands for it where its names would not survive being copied."""
    name = [] if run.name == Path(files[0]).stem else ["--run", run.name if run.parent.name == "runs" else str(run)]
    return copyable(shlex.join(["crm-dedup", "match", *files, *name]), "crm-dedup match FILE --run NAME")


def copyable(text: str, otherwise: str) -> str:
    """Return a part of a command as it is shown to be copied; `otherwise` where it would not survive that."""
    return text if text.isprintable() and "`" not in text and len(text) < 200 else otherwise


@contextlib.contextmanager
def alone(run: Path) -> Iterator[Path]:
    """Yield the folder of a run, made if need be, while no other process can use it."""
    make(run)
    with (run / ".lock").open("w") as file:
        if not lock(file):
            raise UserError(f"another process is at work in {run}: wait for it, or name another run with --run")
        yield run


def make(path: Path) -> None:
    """Make the folder of a run or of a stage; raises UserError where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be made ({error.strerror}): name a run in a folder that you may write to") from None
