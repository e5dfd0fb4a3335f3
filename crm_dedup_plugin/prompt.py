"""The published path of `crm_dedup_plugin.pair.prompt`."""

from crm_dedup_plugin.pair.prompt import build, messages  # noqa: F401
