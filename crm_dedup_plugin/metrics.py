"""The published path of `crm_dedup_plugin.evaluation.metrics`."""

from crm_dedup_plugin.evaluation.metrics import evaluate, evaluate_pairs  # noqa: F401
