"""The lm-evaluation-harness in this process, without its inventory of the machine."""

from pathlib import Path
from unittest import mock

TASKS = Path(__file__).resolve().parents[1] / "lm_eval_tasks"


def evaluate(model, tasks: list[str], folder: Path = TASKS, metadata: dict | None = None, **options) -> dict:
    """Return what ``simple_evaluate`` says of a model that is asked the tasks of a folder."""
    from lm_eval import evaluator
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False, metadata=metadata)
    with mock.patch.object(evaluator, "add_env_info"):  # it asks pip and a dozen programs, more than a second each time
        return evaluator.simple_evaluate(model=model, tasks=tasks, task_manager=manager, metadata=metadata, bootstrap_iters=0, **options)
