"""Writing files so that a reader, or the next run, never sees half of one."""

import contextlib
import fcntl
import glob
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from crm_dedup_plugin.errors import UserError

RESULTS = Path("outputs/results")  # what your own runs write about a model: RESULTS/NAME/; git ignores it
EVIDENCE = Path("results")  # what is committed with the code; scripts/record_results.py copies a run here


def results_of(name: str) -> Path:
    """Return the folder with the results of a model: of your own runs, or else the committed one."""
    own, committed = RESULTS / name, EVIDENCE / name
    return committed if committed.is_dir() and not own.is_dir() else own


def read_json(path: Path) -> Any:
    """Return what a file of JSON holds; None where there is no such file. Raises UserError where it holds anything else."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{path} is not JSON: delete it and make it again") from None


def write_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all, and make its folder; a file that already holds it is left untouched."""
    data = text.encode("utf-8", "surrogatepass")
    if path.is_file() and path.read_bytes() == data:
        return
    with whole(path) as partial, partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield the name of a file that becomes `path` at the end of the block, or never; makes its folder. Raises UserError where it cannot write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*.part"):
        if not _runs(left.suffixes[-2][1:]):  # who wrote it was killed
            left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path} could not be written ({error.strerror}): make room, or choose a folder that you may write to") from None
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces the folder `path` at the end of the block, or never; raises UserError where it cannot be written."""
    partial = path.with_name(f".{path.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        replace_folder(path, partial)
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error
        raise UserError(f"{path} could not be written ({why}): make room, or make {path.parent}/ writable") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def replace_folder(path: Path, new: Path) -> None:
    """Replace the folder `path`, which may be missing, by the folder `new`."""
    old = path.with_name(f"{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file, which takes no room, or copy it where that is not possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _runs(number: str) -> bool:
    """Tell whether a process of this machine has this number."""
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError, OverflowError):  # gone, or no number of a process
        return False
    except PermissionError:
        pass
    return True


def lock(file: IO) -> bool:
    """Lock an open file until it is closed; return False where another process has locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def save_figure(figure, path: Path) -> Path:
    """Write a matplotlib figure as PNG to `path`, whole or not at all, the same bytes each time; return `path`."""
    with whole(path) as partial:
        figure.savefig(partial, format="png", dpi=160, metadata={"Software": None})
    return path


def write_table(table, path: Path) -> Path:
    """Write a pyarrow table as Parquet to `path`, whole or not at all; return `path`."""
    import pyarrow.parquet

    with whole(path) as partial:
        pyarrow.parquet.write_table(table, partial, compression="zstd")
    return path
