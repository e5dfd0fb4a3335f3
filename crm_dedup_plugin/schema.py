"""The published path of `crm_dedup_plugin.pair.answer`."""

from crm_dedup_plugin.pair.answer import GRAMMAR, LABELS, MAX_ANSWER_TOKENS, RESPONSE_FORMAT, SCHEMA, parse  # noqa: F401
