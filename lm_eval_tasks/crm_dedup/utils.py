"""The names that the YAML files of all tasks refer to, ``!function utils.NAME``: those of `crm_dedup_plugin.evaluation.task`."""

from crm_dedup_plugin.evaluation import task


def __getattr__(name: str):
    return getattr(task, name)
