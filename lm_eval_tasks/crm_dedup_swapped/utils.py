"""Hands `crm_dedup_plugin.evaluation.task` on to the YAML files: ``!function utils.NAME``."""

from crm_dedup_plugin.evaluation import task


def __getattr__(name: str):
    return getattr(task, name)
