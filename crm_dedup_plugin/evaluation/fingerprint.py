"""What the numbers of a model depend on, as hashes: ``outputs/results/NAME/metrics.json`` is up to date where these are equal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin import policy
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair import answer, prompt, record, tokens
from crm_dedup_plugin.provenance import digest, model_digest

EVALUATION = Path(__file__).parent
TASKS = EVALUATION.parents[1] / "lm_eval_tasks"
CODE = [
    *(Path(module.__file__) for module in (engine, metrics, prompt, record, answer, tokens)),
    *sorted(Path(policy.__file__).parent.glob("*.py")),
    *(EVALUATION / f"{name}.py" for name in ("answers", "calibration", "certainty", "documents", "linking", "probabilities", "task")),
]


def describe(model: str, tasks: Sequence[str], data: Path, files: Sequence[Path], options: Sequence[str]) -> dict:
    """Return hashes of the model, the data and the code, with the tasks and the options; the names of `files`, no folders."""
    return {
        "model_sha256": model_digest(model),
        "data_sha256": digest([data]),
        "task_sha256": digest([*CODE, *sorted(TASKS.glob("*/*.yaml"))]),
        "options": shlex.join(options),
        "tasks": list(tasks),
        "files_sha256": {path.name: digest([path]) for path in files},
    }
