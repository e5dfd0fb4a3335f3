"""What the numbers of a model depend on, as hashes: ``results/NAME/metrics.json`` is up to date where these are equal."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from crm_dedup_plugin import metrics, prompt, records, schema, steward, tokens

EVALUATION = Path(__file__).parent
TASKS = EVALUATION.parents[1] / "lm_eval_tasks"
CODE = [
    *(Path(module.__file__) for module in (metrics, prompt, records, schema, tokens)),
    *sorted(Path(steward.__file__).parent.glob("*.py")),
    *(EVALUATION / f"{name}.py" for name in ("answers", "calibration", "docs", "engine", "probabilities", "task")),
]


def describe(model: str, tasks: Sequence[str], data: Path, files: Sequence[Path], options: Sequence[str]) -> dict:
    """Return hashes of the model, the data and the code, with the tasks and the options; the names of `files`, no folders."""
    weights = [path for path in sorted(Path(model).glob("*")) if path.suffix in (".safetensors", ".json", ".jinja")]
    return {
        "model_sha256": _digest(weights) if Path(model).is_dir() else model,
        "data_sha256": _digest([data]),
        "task_sha256": _digest([*CODE, *sorted(TASKS.glob("*/*.yaml"))]),
        "options": shlex.join(options),
        "tasks": list(tasks),
        "files_sha256": {path.name: _digest([path]) for path in files},
    }


def _digest(paths: Iterable[Path]) -> str:
    """Return the hash of one file, or of the hashes of several."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256"))
    return digests[0].hexdigest() if len(digests) == 1 else hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()
