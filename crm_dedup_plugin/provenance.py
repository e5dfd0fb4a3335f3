"""What a number was made from: the versions of the question and of the task, hashes of models and files, versions of packages.

Results carry these, so that numbers of different models, pairs or questions are never mixed up.
"""

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path

PROMPT_VERSION = "2.0"  # raise it with the question, the schema or the way an answer is read (`pair`)
TASK_VERSION = "2.1"  # raise it with what the lm-eval tasks ask or how they score; lm_eval_tasks/README.md lists the changes
MANIFEST = "crm_dedup.json"  # says in a model folder how it was trained
FAMILIES = "families"  # key in the manifest: the families of real sources that the model was trained on
PRIVATE = "private.json"  # says of a model folder that it was trained on records of real people
BESIDE = ("calibration.json", PRIVATE)  # files of a model folder that change nothing of what it computes
PACKAGES = ("axolotl", "bitsandbytes", "llguidance", "lm_eval", "peft", "torch", "transformers", "vllm")


def digest(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of one file, or of the hashes of several; raises OSError where one cannot be read."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256"))
    return digests[0].hexdigest() if len(digests) == 1 else hashlib.sha256(b"".join(one.digest() for one in digests)).hexdigest()


def model_digest(model: str) -> str:
    """Return the SHA-256 of what a model folder computes with; of a model on the Hub its name."""
    if not Path(model).is_dir():
        return model
    paths = (path for path in sorted(Path(model).glob("*")) if path.name not in BESIDE)
    files = ((path, path.stat()) for path in paths if path.suffix in (".safetensors", ".json", ".jinja"))
    return _digest_of(tuple((path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) for path, found in files))


@functools.lru_cache
def _digest_of(files: tuple[tuple, ...]) -> str:
    """Return `digest` of files, each with what changes when the file does: weights take long to read, and are asked for often."""
    return digest(path for path, *_ in files)


def private_records(model: Path) -> int:
    """Return on how many records of real people a model folder says that it was trained; 0 where it says nothing."""
    path = model / PRIVATE
    return json.loads(path.read_text(encoding="utf-8"))["trained_on"]["records"] if path.is_file() else 0


def families(model: str) -> list[str]:
    """Return the families of real sources that a model was trained on, according to its folder."""
    path = Path(model) / MANIFEST
    return json.loads(path.read_text(encoding="utf-8")).get(FAMILIES, []) if path.is_file() else []


def versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on."""
    return {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
